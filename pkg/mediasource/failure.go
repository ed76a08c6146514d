package mediasource

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
)

// plain says in words what failed on the network. Nothing of the link is in them: of errors that repeat what the other
// side sent, only the kind is told.
func plain(err error) error {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return errors.New("there is no such host")
	case errors.As(err, &dns):
		return errors.New("its name could not be looked up")
	case errors.As(err, &cert):
		return fmt.Errorf("its certificate is not trusted: %w", cert.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("it refused the connection")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errors.New("the connection was cut")
	case fault.IsNetwork(err):
		return errors.New("the connection failed: " + fault.Text(fault.WithoutURL(err)))
	case strings.Contains(err.Error(), "malformed"):
		return errors.New("its answer is not HTTP")
	}
	return errors.New("the exchange failed: " + fault.Text(fault.WithoutURL(err)))
}

// statusFault is the fault of an answer that brings no media.
func statusFault(op string, resp *http.Response, now time.Time) error {
	code := resp.StatusCode
	f := fault.New(fault.Transient, fault.Source, op, fmt.Errorf("it answered %d", code))
	f.Status = code
	switch {
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusNotFound, code == http.StatusGone:
		f.Class = fault.SourceGone
	case code == http.StatusTooManyRequests:
		f.Class = fault.Throttled
	case code >= http.StatusInternalServerError:
		f.Class = fault.Unavailable
	}
	f.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), now)
	return f
}

// retryAfter reads the header, in seconds or as a date; 0 where it says nothing or the time has passed.
func retryAfter(header string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// Words for media that are refused in more than one place.
const (
	empty   = "the media are empty"
	tooLong = "the media are longer than TWINREEL_MAX_RECORDING_BYTES"
)

func corrupt(op, text string) error {
	return fault.New(fault.Corrupt, fault.Source, op, errors.New(text))
}

// changed is the fault of media that are not the same from one range to the next.
func changed(op, text string) error {
	return fault.New(fault.Transient, fault.Source, op, errors.New(text+"; start again"))
}
