package mediasource

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
)

// HTTP is the Source behind http and https links. It asks for no compression, uses no proxy, and sends nothing along but
// what the link itself holds. It is safe for concurrent use.
type HTTP struct {
	config    Config
	part      int64
	patience  time.Duration   // with an answer that brings too little
	transport *http.Transport // used without an http.Client: redirects are followed here, where each hop is checked
	ranges    *http.Transport // the same with HTTP/1 alone, for ranges side by side: one connection would share one window
}

// Option changes how an HTTP works.
type Option func(*http.Transport)

// RootCAs sets the certificates that sources are checked against, instead of the system's.
func RootCAs(pool *x509.CertPool) Option {
	return func(t *http.Transport) {
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
}

// NewHTTP returns an HTTP that reads ranges of part bytes. c has been checked.
func NewHTTP(c Config, part int64, options ...Option) *HTTP {
	t, ranges := transport(c), transport(c)
	for _, set := range options {
		set(t)
		set(ranges)
	}
	ranges.ForceAttemptHTTP2, ranges.Protocols = false, new(http.Protocols)
	ranges.Protocols.SetHTTP1(true)
	return &HTTP{config: c, part: part, patience: patience, transport: t, ranges: ranges}
}

// Close closes the connections that wait for their next use. Open media are not touched.
func (h *HTTP) Close() {
	h.transport.CloseIdleConnections()
	h.ranges.CloseIdleConnections()
}

// Open implements Source.
func (h *HTTP) Open(ctx context.Context, r Request) (*Media, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, fault.New(fault.Permanent, fault.Source, "ask for media", errors.New("the link is not a URL"))
	}
	switch op := "ask " + u.Hostname() + " for media"; {
	case r.Size == 0:
		return nil, corrupt(op, empty)
	case r.Size > int64(h.config.MaxBytes):
		return nil, corrupt(op, tooLong)
	}
	f := newFirst(ctx, h, u, r)
	if err := f.start(); err != nil {
		_ = f.Close() // err is the reason
		return nil, err
	}
	m := NewMedia(f, f.total, int64(h.config.MaxBytes))
	if f.ranged {
		m = NewRangedMedia(f, f.total, int64(h.config.MaxBytes), f.left, f.fill)
	}
	m.Host = u.Host
	if err := m.look(r.Format); err != nil {
		_ = m.Close() // likewise
		return nil, err
	}
	return m, nil
}

// get asks for the media, or for a range of them, over via, and follows redirects. It returns only 200, 206 and, to a range, 416.
func (h *HTTP) get(ctx context.Context, via *http.Transport, u *url.URL, header http.Header) (*http.Response, error) {
	for range maxRedirects + 1 {
		if err := h.checkURL(u); err != nil {
			return nil, err
		}
		op := "get media from " + u.Hostname()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
		if err != nil {
			return nil, fault.New(fault.Permanent, fault.Source, op, errors.New("the link cannot be asked for"))
		}
		req.Header = header.Clone()
		if u.User != nil {
			password, _ := u.User.Password()
			req.SetBasicAuth(u.User.Username(), password) // for this host, not for where it sends us on to
		}
		resp, err := via.RoundTrip(req)
		if err != nil {
			return nil, failed(ctx, op, err)
		}
		next, err := redirect(resp)
		if next == nil && err == nil {
			return h.accept(op, resp, header.Get("Range") != "")
		}
		resp.Body.Close()
		if err != nil {
			return nil, fault.New(fault.Permanent, fault.Source, op, err)
		}
		u = next
	}
	return nil, fault.New(fault.Permanent, fault.Source, "get media from "+u.Hostname(), fmt.Errorf("more than %d redirects", maxRedirects))
}

// accept closes and refuses an answer that brings no media.
func (h *HTTP) accept(op string, resp *http.Response, ranged bool) (*http.Response, error) {
	code, encoding := resp.StatusCode, resp.Header.Get("Content-Encoding")
	if code == http.StatusRequestedRangeNotSatisfiable && ranged {
		return resp, nil
	}
	var err error
	switch {
	case code != http.StatusOK && (code != http.StatusPartialContent || !ranged):
		err = statusFault(op, resp, time.Now())
	case encoding != "" && encoding != "identity":
		err = corrupt(op, "the media come compressed, though that was not asked for")
	}
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}
