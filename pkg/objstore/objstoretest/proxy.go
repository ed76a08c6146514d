package objstoretest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
)

// Proxy stands between a driver and a real server, and can lose the answers to committing calls: those that are
// conditional on the key's absence, in S3 as in Azure.
type Proxy struct {
	URL  string // to be used in place of the server's
	lose atomic.Bool
	lost atomic.Int64
}

var errLost = errors.New("answer lost")

// NewProxy starts a proxy to the server at target; it ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host
			r.Out.Host = r.In.Host // it is signed
		},
		ModifyResponse: func(r *http.Response) error {
			if p.lose.Load() && r.Request.Header.Get("If-None-Match") == "*" {
				p.lost.Add(1)
				return errLost
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // the connection breaks
	})
	t.Cleanup(server.Close)
	p.URL = server.URL + to.Path
	return p
}

// LoseAnswers fits Pair.LoseAnswers.
func (p *Proxy) LoseAnswers() (restore func()) {
	p.lose.Store(true)
	return func() { p.lose.Store(false) }
}

// Lost returns how many answers were lost so far: how often the driver tried.
func (p *Proxy) Lost() int { return int(p.lost.Load()) }
