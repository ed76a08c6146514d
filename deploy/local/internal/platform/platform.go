// Package platform simulates the contact-centre platform that Twinreel serves: it makes recordings, offers each behind a
// signed link that expires, sends signed webhooks about them the way a platform does — in bursts, several times, with
// noise and forgeries in between — and misbehaves on request. It knows what is true of each recording, so that a reader
// that shares no code with Twinreel can judge both stores.
//
// Audio is made while it is read, from a seed and a size: nothing of it is held in memory or on disk. The package uses
// the standard library only. Every exported method may be called from several goroutines at once.
package platform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// The schemes by which a webhook is signed.
const (
	HubSHA256        = "hub-sha256"        // X-Hub-Signature-256 over the raw body
	StandardWebhooks = "standard-webhooks" // webhook-id, webhook-timestamp, webhook-signature; the secret is base64 after "whsec_"
	Unsigned         = "none"
)

// defaultSource is the source whose webhooks go to /api/v1/webhooks/recording-complete.
const defaultSource = "default"

// Signing says how a source signs its webhooks.
type Signing struct {
	Scheme string // HubSHA256 unless set
	Secret string
}

// Config sets up a Platform. The zero value of each field but Secret is usable.
type Config struct {
	Secret     string             // signs the webhooks of source "default"
	Scheme     string             // HubSHA256 unless set
	Sources    map[string]Signing // further sources by name
	IngressURL string             // scheme://host:port that webhooks go to; SetIngressURL sets it later
	Listen     string             // address for media, "127.0.0.1:0" unless set
	Seed       uint64             // equal seeds give equal audio, names, tags and choices of a burst
	APIToken   string             // what the resolver wants as a bearer token, none unless set; and the webhooks' API, always
	LinkTTL    time.Duration      // life of a media link, 1 h unless set
	Retries    int                // further attempts after a webhook's first; 3 unless set, none if negative
	RetryDelay time.Duration      // between two attempts, 15 s unless set
	Now        func() time.Time   // time.Now unless set
}

// Platform is one simulated platform: a media server and a sender of webhooks. Make it with New, end it with Close.
type Platform struct {
	cfg     Config
	url     string
	server  *http.Server
	client  *http.Client
	linkKey []byte
	tones   tones
	closing context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	ingress string
	random  *rand.Rand
	order   []*Recording
	byKey   map[string]*Recording // by idempotency key
	byPath  map[string]*Recording // by path of the media
	hooks   hooks
}

// New starts a platform: from its return on, media are served at URL.
func New(cfg Config) (*Platform, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("start the platform: %w", err)
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("start the platform's media server: %w; choose another Listen address", err)
	}
	closing, stop := context.WithCancel(context.Background())
	p := &Platform{
		cfg: cfg, url: "http://" + listener.Addr().String(), ingress: strings.TrimSuffix(cfg.IngressURL, "/"),
		linkKey: linkKey(cfg.Seed), tones: newTones(), closing: closing, stop: stop,
		random: rand.New(rand.NewPCG(cfg.Seed, 0)), byKey: map[string]*Recording{}, byPath: map[string]*Recording{},
		client: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: 30 * time.Second},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Timeout:       30 * time.Second,
		},
	}
	p.server = &http.Server{
		Handler: p.tracked(p.routes()), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return closing },
	}
	p.running.Go(func() { _ = p.server.Serve(listener) }) // it returns when Close closes the listener
	return p, nil
}

func (c Config) withDefaults() Config {
	c.Scheme = cmp.Or(c.Scheme, HubSHA256)
	c.Listen = cmp.Or(c.Listen, "127.0.0.1:0")
	c.LinkTTL = cmp.Or(c.LinkTTL, time.Hour)
	c.Retries = max(0, cmp.Or(c.Retries, 3))
	c.RetryDelay = cmp.Or(c.RetryDelay, 15*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	sources := map[string]Signing{defaultSource: {Scheme: c.Scheme, Secret: c.Secret}}
	for name, s := range c.Sources {
		sources[name] = Signing{Scheme: cmp.Or(s.Scheme, HubSHA256), Secret: s.Secret}
	}
	c.Sources = sources
	return c
}

func (c Config) check() error {
	for name, s := range c.Sources {
		if _, err := signatureHeaders(s, "id", nil, time.Time{}); err != nil {
			return fmt.Errorf("source %q: %w", name, err)
		}
	}
	return nil
}

// URL returns scheme://host:port of the media server.
func (p *Platform) URL() string { return p.url }

// SetIngressURL sets scheme://host:port that webhooks go to from now on.
func (p *Platform) SetIngressURL(url string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ingress = strings.TrimSuffix(url, "/")
}

// SetSecret sets what the webhooks of source "default" are signed with from now on.
func (p *Platform) SetSecret(secret string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cfg.Sources = maps.Clone(p.cfg.Sources)
	s := p.cfg.Sources[defaultSource]
	s.Secret = secret
	p.cfg.Sources[defaultSource] = s
}

// signing is how a source signs now.
func (p *Platform) signing(source string) (Signing, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.cfg.Sources[source]
	return s, ok
}

// Close ends every transfer and webhook, and returns once no goroutine of the platform is left. It may be called twice.
func (p *Platform) Close() error {
	p.mu.Lock()
	p.stop()
	p.mu.Unlock()
	err := p.server.Close()
	p.running.Wait()
	p.client.CloseIdleConnections()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the platform's media server: %w", err)
	}
	return nil
}

// tracked lets Close wait for h.
func (p *Platform) tracked(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.enter() {
			return
		}
		defer p.running.Done()
		h.ServeHTTP(w, r)
	})
}

// enter counts a goroutine for Close to wait for, unless the platform is closed.
func (p *Platform) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing.Err() != nil {
		return false
	}
	p.running.Add(1)
	return true
}

// Truth returns every recording in the order in which it was added.
func (p *Platform) Truth() []*Recording {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*Recording(nil), p.order...)
}

// Recording returns the recording with the idempotency key ("<id>", or "<source>/<id>"), or nil.
func (p *Platform) Recording(key string) *Recording {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byKey[key]
}

// Fetches returns how often reading the recording's media began: GETs of the whole or of a range from byte 0. An unknown
// key has 0.
func (p *Platform) Fetches(key string) int {
	if rec := p.Recording(key); rec != nil {
		return rec.Counts().Fetches
	}
	return 0
}
