// Package gate stands between a worker and a store and answers as it is told: what a cloud says on a bad day, which no
// local server can be brought to say. It also tells which request is which, so that something can be done to a program
// at a certain step of its work.
package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// Gate is a reverse proxy with rules. Its methods may be called from several goroutines.
type Gate struct {
	// Addr is where it listens, host:port.
	Addr string

	server *http.Server
	proxy  *httputil.ReverseProxy

	mu      sync.Mutex
	rules   []*counted
	changed chan struct{} // closed and replaced when the rules change: ends what is held
	counts  map[Kind]int
}

// New opens a gate before the server at target, host:port. Without rules everything passes.
func New(target string) (*Gate, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a gate: %w", err)
	}
	g := &Gate{Addr: l.Addr().String(), changed: make(chan struct{}), counts: map[Kind]int{}}
	g.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: target})
			r.Out.Host = r.In.Host // it is signed
		},
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 64, DisableCompression: true, IdleConnTimeout: 20 * time.Second, ExpectContinueTimeout: time.Second,
		},
		ModifyResponse: changeAnswer, ErrorLog: log.New(io.Discard, "", 0), // what breaks here is meant to
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // what breaks behind breaks before
	}
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = g.server.Serve(l) }() // it returns when Close closes the listener
	return g, nil
}

// Set replaces all rules; without any, everything passes again. Requests that were held end with a broken connection.
func (g *Gate) Set(rules ...Rule) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rules = nil
	for _, r := range rules {
		g.rules = append(g.rules, &counted{Rule: r})
	}
	close(g.changed)
	g.changed = make(chan struct{})
}

// Count is how many requests of these kinds have come so far, whatever became of them.
func (g *Gate) Count(kinds ...Kind) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, k := range kinds {
		n += g.counts[k]
	}
	return n
}

// Taken is how many requests the rules in force have decided about.
func (g *Gate) Taken() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.rules {
		n += r.taken
	}
	return n
}

// Close closes it.
func (g *Gate) Close() error {
	g.Set()
	return g.server.Close()
}

// rule counts a request and returns the rule that decides about it, if any, and what ends its holding.
func (g *Gate) rule(r *http.Request) (*Rule, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	kind := kindOf(r)
	g.counts[kind]++
	for _, c := range g.rules {
		if c.takes(kind, r.URL.Path) {
			return &c.Rule, g.changed
		}
	}
	return nil, nil
}

// ruleKey is where a request's rule is found once its answer is there.
type ruleKey struct{}

// ServeHTTP implements http.Handler.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rule, changed := g.rule(r)
	switch {
	case rule == nil:
		g.proxy.ServeHTTP(w, r)
	case rule.Answer != nil:
		// A body that nobody has read would break the connection before its sender has seen the answer.
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 64<<20))
		rule.Answer.write(w)
	case rule.Hold:
		select {
		case <-changed:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case rule.Break:
		panic(http.ErrAbortHandler)
	case rule.Before != nil:
		rule.Before()
		panic(http.ErrAbortHandler)
	default:
		if rule.First != nil {
			rule.First()
		}
		// The server finishes what it has begun although the client may be gone.
		ctx := context.WithValue(context.WithoutCancel(r.Context()), ruleKey{}, rule)
		g.proxy.ServeHTTP(w, r.WithContext(ctx))
	}
}

var errLost = errors.New("the answer is lost")

// changeAnswer does to an answer what the request's rule says.
func changeAnswer(resp *http.Response) error {
	rule, _ := resp.Request.Context().Value(ruleKey{}).(*Rule)
	switch {
	case rule == nil:
	case rule.Lose:
		return errLost
	case rule.Done != nil:
		rule.Done()
		return errLost
	case rule.Truncate:
		resp.Body = &half{ReadCloser: resp.Body, left: max(1, resp.ContentLength/2)}
	}
	return nil
}

// half is a body that breaks off.
type half struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (h *half) Read(p []byte) (int, error) {
	if h.left <= 0 {
		return 0, errLost
	}
	n, err := h.ReadCloser.Read(p[:min(int64(len(p)), h.left)])
	h.left -= int64(n)
	return n, err
}

func (a *Answer) write(w http.ResponseWriter) {
	h := w.Header()
	if a.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(a.RetryAfter/time.Second)))
	}
	h.Set("Content-Type", "application/xml")
	h.Set("x-ms-error-code", a.Code)
	w.WriteHeader(a.Status)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="utf-8"?><Error><Code>%s</Code><Message>told to</Message></Error>`, a.Code)
}
