package objstore

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// StallTimeout is how long a connection to a store may stand still, in either direction, while a request is on it. What
// moves may take as long as its context lets it.
const StallTimeout = 60 * time.Second

// Bounds of a driver's connections.
const (
	poolSize    = 64               // idle connections that are kept
	idleTimeout = 30 * time.Second // below StallTimeout, so that none is used again just as it stalls
	dialTimeout = 10 * time.Second
	writeBuffer = 64 << 10  // bytes
	copyBuffer  = 256 << 10 // bytes; media leave in few system calls
)

// TuneTransport makes t what a driver talks through: enough connections, no compression on the way, TLS 1.2 or better,
// and an end to whatever stands still for the time stall.
func TuneTransport(t *http.Transport, stall time.Duration) {
	dialer := net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}
	buffers := &sync.Pool{New: func() any { return new([copyBuffer]byte) }}
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &guarded{c, stall, buffers}, nil
	}
	t.MaxIdleConns, t.MaxIdleConnsPerHost = poolSize, poolSize
	t.IdleConnTimeout = idleTimeout
	t.TLSHandshakeTimeout = dialTimeout
	t.DisableCompression = true
	t.WriteBufferSize = writeBuffer
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{}
	}
	t.TLSClientConfig.MinVersion = max(t.TLSClientConfig.MinVersion, tls.VersionTLS12)
}

// guarded is a connection that fails when it stands still. A write moves the deadline of a waiting read too: while a
// body is on its way no answer is due.
type guarded struct {
	net.Conn
	stall   time.Duration
	buffers *sync.Pool
}

func (c *guarded) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *guarded) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// ReadFrom implements io.ReaderFrom, which net/http uses for bodies: it would copy them in pieces of 32 KiB.
func (c *guarded) ReadFrom(r io.Reader) (n int64, err error) {
	buf, _ := c.buffers.Get().(*[copyBuffer]byte)
	defer c.buffers.Put(buf)
	for {
		got, end := r.Read(buf[:])
		if got > 0 {
			sent, err := c.Write(buf[:got])
			if n += int64(sent); err != nil {
				return n, err
			}
		}
		switch {
		case errors.Is(end, io.EOF):
			return n, nil
		case end != nil:
			return n, end
		}
	}
}

// NeverSent reports whether err, of a request without an answer, arose before anything could reach the store: no
// credentials, no address, no connection, no trust in its certificate. Of any other request without an answer the store
// may have taken everything.
func NeverSent(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	return errors.Is(err, ErrNoCredentials) || errors.As(err, &op) && op.Op == "dial" || errors.As(err, &dns) || errors.As(err, &cert)
}

// RetryAfter returns what an answer asks its client to wait, by Azure's millisecond header or the common one (seconds or
// a date, judged at now). 0 when it does not ask.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	for _, name := range []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
		if ms, err := strconv.ParseUint(h.Get(name), 10, 31); err == nil {
			return time.Duration(ms) * time.Millisecond
		}
	}
	value := h.Get("Retry-After")
	if s, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// SidecarPrefix begins the keys that Writer.ReadSidecar reads.
const SidecarPrefix = "metadata/"

// ErrTooLong is returned by ReadSmall.
var ErrTooLong = errors.New("longer than a sidecar can be")

// ReadSmall reads a sidecar to its end, at most MaxSidecar bytes: longer is ErrTooLong.
func ReadSmall(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxSidecar+1))
	if err == nil && len(b) > MaxSidecar {
		return nil, ErrTooLong
	}
	return b, err
}
