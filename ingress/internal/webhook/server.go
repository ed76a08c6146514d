package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
)

// Limits of the HTTP server on what a client may hold open or send before a handler sees it.
const (
	headerTimeout = 5 * time.Second
	writeTimeout  = 90 * time.Second // more than the longest TWINREEL_ACK_TIMEOUT and bodyTimeout together
	idleTimeout   = time.Minute
	maxHeader     = 32 << 10
)

// Serve answers on l until ctx ends, then takes no more and finishes what it has, until drain ends. certs is nil for
// plain HTTP.
func Serve(ctx, drain context.Context, l net.Listener, h http.Handler, certs *Certificates, log *zap.Logger) error {
	return serve(ctx, drain, l, h, certs, newConns(connLimit()), log)
}

func serve(ctx, drain context.Context, l net.Listener, h http.Handler, certs *Certificates, open *conns, log *zap.Logger) error {
	s := &http.Server{
		ConnState: open.changed, ConnContext: open.context,
		Handler: h, ReadHeaderTimeout: headerTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: quiet(log),
	}
	ended := make(chan error, 1)
	go func() {
		if certs == nil {
			ended <- s.Serve(l)
			return
		}
		s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certs.Get}
		ended <- s.ServeTLS(l, "", "")
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve webhooks on %v: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	if err := s.Shutdown(drain); err != nil {
		_ = s.Close()
		return fmt.Errorf("webhooks were still under way at the end of the drain time-out: %w", err)
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// certificatesAge is how long a certificate is used before its files are looked at again.
const certificatesAge = 10 * time.Second

// Certificates is a certificate whose files are read again when they have changed: it is renewed more often than
// ingress is restarted.
type Certificates struct {
	cert, key string
	now       func() time.Time
	log       *zap.Logger

	mu      sync.Mutex
	last    *tls.Certificate
	read    time.Time
	trouble string
}

// NewCertificates reads the certificate for the first time.
func NewCertificates(cert, key string, now func() time.Time, log *zap.Logger) (*Certificates, error) {
	c := &Certificates{cert: cert, key: key, now: now, log: log}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read certificate %s and key %s: %w", cert, key, err)
	}
	c.last, c.read = &pair, now()
	return c, nil
}

// Get is the GetCertificate of a tls.Config. Files that cannot be read leave the last good certificate in use.
func (c *Certificates) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.read) < certificatesAge {
		return c.last, nil
	}
	c.read = now
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	text := fault.Text(err)
	switch {
	case err == nil:
		c.last = &pair
	case text != c.trouble:
		c.log.Warn("the certificate could not be read again; the last good one stays in use", zap.String("error", text))
	}
	c.trouble = text
	return c.last, nil
}
