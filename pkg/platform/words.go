package platform

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/twinreel/twinreel/pkg/fault"
)

// InWords says in words what failed on the network. Nothing of the link is in them: of errors that repeat what the other
// side sent, only the kind is told.
func InWords(err error) error {
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
