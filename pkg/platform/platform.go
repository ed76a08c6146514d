// Package platform is what a worker knows of each source's platform besides its media: by what credentials it is asked,
// where a fresh media link is to be had, and how often all workers together may ask.
//
// Errors are faults of part Platform, which never hold an address. By class:
//
//	Denied       401, 403 from the resolver, with a token that is as good as any
//	Throttled    429, 202 ("still transcoding"), or our own share of requests is used up: later
//	Unavailable  5xx, refused, timed out; also of the token endpoint, whatever that answers: a client that is set up wrongly
//	             says nothing about a recording
//	Transient    an answer that is none of these; Corrupt: 200 without a usable link
//
// but for a resolver's 404 and 410: the recording is gone, which is a fault SourceGone of part Source.
package platform

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/settings"
)

// Time-outs of the platform's API: it answers in few bytes.
const (
	apiTimeout  = 15 * time.Second
	idleTimeout = 30 * time.Second
)

// API is the platform's side of all sources. It is safe for concurrent use.
type API struct {
	general account            // of every source that has nothing of its own
	own     map[string]account // by the source's name
	turns   Turns
	rate    int
	client  *http.Client
	now     func() time.Time

	mu    sync.Mutex
	alone map[string]*rate.Limiter // by the source's name, while Turns does not answer
}

// account is what one source's platform is asked with. A nil bearer sends nothing along.
type account struct {
	resolver string // "" for none
	byName   bool   // the resolver is told the source's name, so that it may serve several
	ask      bearer // for the resolver
	media    bearer
	hosts    []string // that get it: host, or host:port, in lower case
}

// Option changes how an API works.
type Option func(*API)

// RootCAs sets the certificates that the platform is checked against, instead of the system's.
func RootCAs(pool *x509.CertPool) Option {
	return func(a *API) {
		if t, ok := a.client.Transport.(*http.Transport); ok {
			t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		}
	}
}

// New returns the API of all sources. c has been checked; warn is told of token files that cannot be read again.
func New(c Config, turns Turns, warn func(variable, text string), list ...Option) (*API, error) {
	further, err := c.further(settings.OnWarning(warn))
	if err != nil {
		return nil, fmt.Errorf("TWINREEL_SOURCES_FILE: %w", err)
	}
	a := &API{
		own: map[string]account{}, turns: turns, rate: c.Rate, now: time.Now, alone: map[string]*rate.Limiter{},
		client: &http.Client{
			Transport: &http.Transport{Proxy: c.Proxy(), ForceAttemptHTTP2: true, TLSHandshakeTimeout: apiTimeout, IdleConnTimeout: idleTimeout},
			Timeout:   apiTimeout,
			// Where somebody sends us on to gets no token of ours.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for _, set := range list {
		set(a)
	}
	a.general = c.general(a.client)
	for _, s := range further {
		a.own[s.Name] = s.account(a.general)
	}
	return a, nil
}

// Close closes the connections that wait for their next use.
func (a *API) Close() { a.client.CloseIdleConnections() }

// of returns a source's account. A resolver that is not told which source is asked for serves the default source alone:
// recording IDs are unique within a source only.
func (a *API) of(source string) account {
	if own, ok := a.own[source]; ok {
		return own
	}
	return a.general.of(source)
}

// of is the account as another source may use it.
func (acc account) of(source string) account {
	if source != event.DefaultSource && !acc.byName {
		acc.resolver = ""
	}
	return acc
}

// Proxy returns what net/http asks for the proxy of a request: nil for none, never the environment's.
func (c *Config) Proxy() func(*http.Request) (*url.URL, error) {
	if c.EgressProxy == "" {
		return nil
	}
	u, err := url.Parse(c.EgressProxy)
	if err != nil {
		return nil // Check has refused it
	}
	return http.ProxyURL(u)
}

// Key is a bearer token that goes to one host.
type Key struct{ bearer }

// Key returns the token that a request for source's media to u gets; ok is false for none.
func (a *API) Key(source string, u *url.URL) (Key, bool) {
	acc := a.of(source)
	if acc.media == nil {
		return Key{}, false
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	if !slices.Contains(acc.hosts, host) && !slices.Contains(acc.hosts, net.JoinHostPort(host, port)) {
		return Key{}, false
	}
	return Key{acc.media}, true
}
