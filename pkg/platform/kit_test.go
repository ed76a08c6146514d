package platform_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/platform"
	"github.com/twinreel/twinreel/pkg/settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret is in every token and link of these tests: no error may hold it.
const secret = "s3cret"

// server is a platform's API over TLS that remembers what it was asked.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	asked []*http.Request
}

func serve(t *testing.T, handle http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		s.mu.Lock()
		s.asked = append(s.asked, r.Clone(context.Background()))
		s.mu.Unlock()
		handle(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // some handshakes fail on purpose
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// requests returns what was asked so far.
func (s *server) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.asked...)
}

// status answers with that status.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// mediaURL answers with a link.
func mediaURL(link string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"mediaUrl": link})
	}
}

// inTurn answers the first request by the first handler, and so on; the last answers all that follow.
func inTurn(handlers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := handlers[min(n, len(handlers)-1)]
		n++
		mu.Unlock()
		h(w, r)
	}
}

// granting is a token endpoint that hands out token-1, token-2 …
func granting(t *testing.T) *server {
	n := 0
	var mu sync.Mutex
	return serve(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		n++
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"token-%d-%s","token_type":"Bearer","expires_in":3600}`, n, secret)
	})
}

// turns hands out turns as the test wants.
type turns struct {
	mu    sync.Mutex
	taken []string
	wait  time.Duration
	err   error
}

func (u *turns) Turn(_ context.Context, name string, perSecond int) (time.Duration, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.taken = append(u.taken, fmt.Sprint(name, "@", perSecond))
	return u.wait, u.err
}

var errAway = errors.New("away")

// open returns the API that talks to these servers.
func open(t *testing.T, c platform.Config, to *turns, servers ...*server) *platform.API {
	t.Helper()
	if c.Rate == 0 {
		c.Rate = 10
	}
	if problems := append(c.Check(), c.Plain()...); len(problems) > 0 {
		t.Fatal(problems)
	}
	pool := x509.NewCertPool()
	for _, s := range servers {
		pool.AddCert(s.Certificate())
	}
	a, err := platform.New(c, to, func(string, string) {}, platform.RootCAs(pool))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// harmless makes sure that an error shows neither token nor link.
func harmless(t *testing.T, err error) error {
	t.Helper()
	if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "://") || strings.Contains(fault.Text(err), "/api/")) {
		t.Errorf("the error shows what it must not: %v", err)
	}
	return err
}

// client are client credentials at the endpoint.
func client(endpoint *server) platform.OAuth {
	return platform.OAuth{
		TokenURL: endpoint.URL + "/api/token?" + secret, ClientID: "twinreel", ClientSecret: settings.NewSecret("client-" + secret), Scopes: []string{"media", "api.read files"},
	}
}
