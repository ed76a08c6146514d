package mediasource

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/platform"
)

// HTTP is the Source behind http and https links. It asks for no compression, uses no proxy but the configured one, and
// sends nothing along but what the link itself holds, and, to the hosts that get one, the source's token. It is safe for
// concurrent use.
type HTTP struct {
	config    Config
	part      int64
	patience  time.Duration                         // with an answer that brings too little
	transport *http.Transport                       // used without an http.Client: redirects are followed here, where each hop is checked
	ranges    *http.Transport                       // the same with HTTP/1 alone, for ranges side by side: one connection would share one window
	may       func(context.Context, *url.URL) error // says whether a link, or a redirect, may be asked
	api       *platform.API                         // nil: no tokens
	marker    string                                // a Content-Encoding that says nothing of the bytes
}

// Option changes how an HTTP works.
type Option func(*options)

type options struct {
	roots    *x509.CertPool
	resolver *net.Resolver
	api      *platform.API
	dial     Dialer
}

// Dialer connects to an address, as net.Dialer.DialContext does.
type Dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// Network replaces the network, and with it the check of the addresses that are dialled: there are none in a test that has
// no network.
func Network(dial Dialer) Option { return func(o *options) { o.dial = dial } }

// RootCAs sets the certificates that sources are checked against, instead of the system's.
func RootCAs(pool *x509.CertPool) Option { return func(o *options) { o.roots = pool } }

// Resolver sets by whom hosts' names are looked up, instead of the system's.
func Resolver(r *net.Resolver) Option { return func(o *options) { o.resolver = r } }

// Tokens sets whose tokens go along to the hosts that get one.
func Tokens(api *platform.API) Option { return func(o *options) { o.api = api } }

// NewHTTP returns an HTTP that reads from platforms, by ranges of part bytes. c has been checked.
func NewHTTP(c Config, part int64, list ...Option) *HTTP {
	o := optionsOf(list)
	g := newGuard(c, o.resolver)
	h := newHTTP(c, part, g.transport, o)
	h.may, h.api = g.may, o.api
	return h
}

func optionsOf(list []Option) options {
	o := options{resolver: net.DefaultResolver}
	for _, set := range list {
		set(&o)
	}
	return o
}

// newHTTP returns an HTTP over two transports that connect makes.
func newHTTP(c Config, part int64, connect func() *http.Transport, o options) *HTTP {
	t, ranges := connect(), connect()
	if o.dial != nil {
		t.DialContext, ranges.DialContext = o.dial, o.dial
	}
	if o.roots != nil {
		for _, t := range []*http.Transport{t, ranges} {
			t.TLSClientConfig = &tls.Config{RootCAs: o.roots, MinVersion: tls.VersionTLS12}
		}
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

// question is how one link is asked.
type question struct {
	via    *http.Transport
	of     string // the name of the configured source
	header http.Header
	stall  *time.Timer // runs only while a host is waited for
}

// get asks for the media, or for a range of them, and follows redirects. It returns only 200, 206 and, to a range, 416.
func (h *HTTP) get(ctx context.Context, q question, u *url.URL) (*http.Response, error) {
	for range maxRedirects + 1 {
		if err := h.may(ctx, u); err != nil {
			return nil, err
		}
		op := "get media from " + u.Hostname()
		resp, err := h.send(ctx, op, q, u)
		if err != nil {
			return nil, err
		}
		next, err := redirect(resp)
		if next == nil && err == nil {
			return h.accept(op, resp, q.header.Get("Range") != "")
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
	case encoding != "" && encoding != "identity" && encoding != h.marker:
		err = corrupt(op, "the media come compressed, though that was not asked for")
	}
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}
