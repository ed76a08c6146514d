package mediasource_test

import (
	"context"
	"crypto/x509"
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

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/platform"
	"github.com/twinreel/twinreel/pkg/settings"
)

// free hands out every turn at once, and counts them.
type free struct {
	mu    sync.Mutex
	taken []string
	err   error
}

func (f *free) Turn(_ context.Context, name string, _ int) (time.Duration, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taken = append(f.taken, name)
	if f.err != nil {
		return time.Hour, nil
	}
	return 0, nil
}

func (f *free) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.taken)
}

// token is what sources of these tests are asked with.
const token = "token-" + secret

// api is a platform whose token goes to these hosts.
func api(t *testing.T, turns platform.Turns, c platform.Config, trusted ...*origin) *platform.API {
	t.Helper()
	pool := x509.NewCertPool()
	for _, o := range trusted {
		pool.AddCert(o.Certificate())
	}
	if c.Rate = 10; len(c.Check()) != 0 {
		t.Fatal(c.Check())
	}
	a, err := platform.New(c, turns, func(string, string) {}, platform.RootCAs(pool))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// secure is an origin over TLS.
func secure(t *testing.T, handle http.HandlerFunc) *origin {
	t.Helper()
	o := &origin{}
	o.Server = httptest.NewUnstartedServer(o.remember(handle))
	o.Config.ErrorLog = log.New(io.Discard, "", 0)
	o.StartTLS()
	t.Cleanup(o.Close)
	return o
}

// host is the origin's host:port.
func (o *origin) host() string { return o.Listener.Addr().String() }

// trusting trusts all of these.
func trusting(all ...*origin) mediasource.Option {
	pool := x509.NewCertPool()
	for _, o := range all {
		pool.AddCert(o.Certificate())
	}
	return mediasource.RootCAs(pool)
}

// authorized serves handle to whoever brings one of the tokens, in their turn: a token is refused once the next was seen.
func authorized(handle http.HandlerFunc, good func(string) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); !ok || !good(bearer) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handle(w, r)
	}
}

func is(want string) func(string) bool { return func(got string) bool { return got == want } }

func TestTheTokenGoesToItsHostWithEveryRequestAndTakesATurn(t *testing.T) {
	body := wav(5 * part)
	o := secure(t, authorized(file(body, `"v1"`), is(token)))
	turns := &free{}
	a := api(t, turns, platform.Config{Token: settings.NewSecret(token), TokenHosts: []string{o.host()}})
	r := o.promised(len(body))
	r.Source = "default"
	wantMedia(t, source(t, config(), trusting(o), mediasource.Tokens(a)), r, body)
	if n := len(o.requests()); n < 3 || turns.count() != n {
		t.Errorf("%d requests, %d turns", n, turns.count())
	}
}

func TestTheTokenGoesToNobodyElse(t *testing.T) {
	body := wav(5 * part)
	other := secure(t, file(body, `"v1"`))
	first := secure(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.link(), http.StatusTemporaryRedirect)
	})
	turns := &free{}
	a := api(t, turns, platform.Config{Token: settings.NewSecret(token), TokenHosts: []string{first.host()}})
	s := source(t, config(), trusting(first, other), mediasource.Tokens(a))
	wantMedia(t, s, first.promised(len(body)), body) // after a redirect
	wantMedia(t, s, other.promised(len(body)), body) // at once
	for _, r := range other.requests() {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("the token went to another host: %q", r.Header.Get("Authorization"))
		}
	}
	if n := len(first.requests()); n == 0 || turns.count() != n {
		t.Errorf("%d requests to the token's host, %d turns", n, turns.count())
	}
	for _, r := range first.requests() {
		if r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("its host got %q", r.Header.Get("Authorization"))
		}
	}
	// The other way round: only where the second host is the token's does it get the token.
	back := secure(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, first.link(), http.StatusFound) })
	before := len(first.requests())
	wantMedia(t, source(t, config(), trusting(first, other, back), mediasource.Tokens(a)), back.promised(len(body)), body)
	if got := back.requests()[0].Header.Get("Authorization"); got != "" || first.requests()[before].Header.Get("Authorization") == "" {
		t.Errorf("on the way back: %q", got)
	}
}

func TestNoTokenGoesOverPlainHTTPUnlessThatIsAllowed(t *testing.T) {
	o := serve(t, file(wav(100), ""))
	a := api(t, &free{}, platform.Config{Token: settings.NewSecret(token), TokenHosts: []string{o.host()}})
	c := config()
	c.AllowHTTP = false
	wantFault(t, source(t, c, mediasource.Tokens(a)), o.request(), fault.Permanent, "TWINREEL_SOURCE_ALLOW_HTTP")
	if n := len(o.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
	wantMedia(t, source(t, config(), mediasource.Tokens(a)), o.request(), wav(100))
	if got := o.requests()[0].Header.Get("Authorization"); got != "Bearer "+token {
		t.Errorf("where it is allowed: %q", got)
	}
}

func TestWhatTheLinkHoldsOfCredentialsComesFirst(t *testing.T) {
	o := secure(t, file(wav(100), ""))
	a := api(t, &free{}, platform.Config{Token: settings.NewSecret(token), TokenHosts: []string{o.host()}})
	r := o.request()
	r.URL = strings.Replace(r.URL, "https://", "https://user:"+secret+"@", 1)
	wantMedia(t, source(t, config(), trusting(o), mediasource.Tokens(a)), r, wav(100))
	if user, _, ok := o.requests()[0].BasicAuth(); !ok || user != "user" {
		t.Errorf("sent %q", o.requests()[0].Header.Get("Authorization"))
	}
}

// endpoint grants token-1, token-2 …
func endpoint(t *testing.T) (*origin, func() int) {
	var mu sync.Mutex
	n := 0
	o := secure(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		n++
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"token-%d-%s","expires_in":3600}`, n, secret)
	})
	return o, func() int { mu.Lock(); defer mu.Unlock(); return n }
}

func oauth(o *origin) platform.OAuth {
	return platform.OAuth{TokenURL: o.URL + "/m/token", ClientID: "c", ClientSecret: settings.NewSecret("client-" + secret)}
}

func TestARefusedMediaTokenIsFetchedAnewOnceAndThenTheLinkIsGone(t *testing.T) {
	body := wav(100)
	grants, count := endpoint(t)
	o := secure(t, authorized(file(body, ""), is("token-2-"+secret)))
	a := api(t, &free{}, platform.Config{OAuth: oauth(grants), TokenHosts: []string{o.host()}}, grants)
	s := source(t, config(), trusting(o), mediasource.Tokens(a))
	wantMedia(t, s, o.request(), body)
	if n := len(o.requests()); n != 2 || count() != 2 {
		t.Errorf("%d requests, %d tokens", n, count())
	}
	never := secure(t, authorized(file(body, ""), is("another")))
	a = api(t, &free{}, platform.Config{OAuth: oauth(grants), TokenHosts: []string{never.host()}}, grants)
	err := wantFault(t, source(t, config(), trusting(never), mediasource.Tokens(a)), never.request(), fault.SourceGone, "401")
	if n := len(never.requests()); n != 2 || fault.StatusOf(err) != http.StatusUnauthorized {
		t.Errorf("%d requests, %v", n, err)
	}
}

func TestATokenEndpointThatIsDownIsNotALinkThatIsGone(t *testing.T) {
	o := secure(t, file(wav(100), ""))
	for _, code := range []int{401, 403, 404, 410, 500} {
		grants := secure(t, status(code))
		a := api(t, &free{}, platform.Config{OAuth: oauth(grants), TokenHosts: []string{o.host()}}, grants)
		_, err := source(t, config(), trusting(o), mediasource.Tokens(a)).Open(t.Context(), o.request())
		if !fault.Is(err, fault.Unavailable, fault.Platform) || strings.Contains(err.Error(), secret) {
			t.Errorf("%d: %v (%v of %v)", code, err, fault.ClassOf(err), fault.PartOf(err))
		}
	}
	if n := len(o.requests()); n != 0 {
		t.Errorf("the host was asked %d times without its token", n)
	}
}

func TestAPlatformThatWasAskedEnoughIsThrottled(t *testing.T) {
	o := secure(t, file(wav(100), ""))
	a := api(t, &free{err: errors.New("used up")}, platform.Config{Token: settings.NewSecret(token), TokenHosts: []string{o.host()}})
	_, err := source(t, config(), trusting(o), mediasource.Tokens(a)).Open(t.Context(), o.request())
	if !fault.Is(err, fault.Throttled, fault.Platform) || fault.RetryAfterOf(err) < time.Hour {
		t.Errorf("%v, again after %s", err, fault.RetryAfterOf(err))
	}
	if n := len(o.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// slowTurns makes everybody wait once.
type slowTurns struct {
	mu   sync.Mutex
	wait time.Duration
}

func (s *slowTurns) Turn(context.Context, string, int) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.wait
	s.wait = 0
	return d, nil
}

func TestWaitingForATurnIsNoStall(t *testing.T) {
	o := secure(t, file(wav(100), ""))
	c := config()
	c.StallTimeout = 100 * time.Millisecond
	a := api(t, &slowTurns{wait: 400 * time.Millisecond}, platform.Config{Token: settings.NewSecret(token), TokenHosts: []string{o.host()}})
	wantMedia(t, source(t, c, trusting(o), mediasource.Tokens(a)), o.request(), wav(100))
}
