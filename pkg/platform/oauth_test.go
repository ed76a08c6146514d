package platform_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/platform"
)

func TestOneGrantedTokenServesManyRequests(t *testing.T) {
	endpoint, s := granting(t), serve(t, mediaURL(fresh))
	a := open(t, platform.Config{ResolverURL: s.URL + "/api/{recordingId}", OAuth: client(endpoint)}, &turns{}, endpoint, s)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := a.Resolve(t.Context(), "default", "rec-1"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	asked := endpoint.requests()
	if len(asked) != 1 {
		t.Fatalf("%d tokens were fetched", len(asked))
	}
	if id, key, ok := asked[0].BasicAuth(); !ok || id != "twinreel" || key != "client-"+secret || asked[0].Form.Get("grant_type") != "client_credentials" || asked[0].Form.Get("scope") != "media api.read files" {
		t.Errorf("asked with %q, form %v", id, asked[0].Form)
	}
	for _, r := range s.requests() {
		if r.Header.Get("Authorization") != "Bearer token-1-"+secret {
			t.Errorf("asked with %q", r.Header.Get("Authorization"))
		}
	}
}

func refused(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }

func TestARefusedTokenIsFetchedAnewOnce(t *testing.T) {
	endpoint := granting(t)
	s := serve(t, inTurn(status(http.StatusUnauthorized), mediaURL(fresh), refused))
	a := open(t, platform.Config{ResolverURL: s.URL + "/api/{recordingId}", OAuth: client(endpoint)}, &turns{}, endpoint, s)
	if link, err := a.Resolve(t.Context(), "default", "rec-1"); err != nil || link != fresh || len(endpoint.requests()) != 2 {
		t.Errorf("%q %v, %d tokens", link, err, len(endpoint.requests()))
	}
	if _, err := a.Resolve(t.Context(), "default", "rec-1"); !fault.Is(harmless(t, err), fault.Denied, fault.Platform) || len(s.requests()) != 4 || len(endpoint.requests()) != 3 {
		t.Errorf("refused for ever: %v, asked %d times with %d tokens", err, len(s.requests()), len(endpoint.requests()))
	}
}

func TestATokenEndpointThatGivesNoneIsUnavailableAndLeftAloneForAWhile(t *testing.T) {
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(s))
		}
	}
	for name, handle := range map[string]http.HandlerFunc{
		"500": status(500), "401": status(401), "404": status(404), "410": status(410), "429": status(429), "no token": text(`{"hint":"` + secret + `"}`), "a page": text("<html>" + secret),
		"a redirect": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/api/other?"+secret)
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
	} {
		endpoint, s := serve(t, handle), serve(t, mediaURL(fresh))
		a := open(t, platform.Config{ResolverURL: s.URL + "/api/{recordingId}", OAuth: client(endpoint)}, &turns{}, endpoint, s)
		for range 5 {
			if _, err := a.Resolve(t.Context(), "default", "rec-1"); !fault.Is(harmless(t, err), fault.Unavailable, fault.Platform) {
				t.Errorf("%s: %v (%v)", name, err, fault.ClassOf(err))
			}
		}
		if n := len(endpoint.requests()); n > 2 { // credentials go in the header first, then in the form
			t.Errorf("%s: the endpoint was asked %d times", name, n)
		}
		if n := len(s.requests()); n != 0 {
			t.Errorf("%s: the resolver was asked %d times without a token", name, n)
		}
	}
	endpoint := granting(t)
	endpoint.Close()
	a := open(t, platform.Config{ResolverURL: "https://127.0.0.1:1/api/{recordingId}", OAuth: client(endpoint)}, &turns{}, endpoint)
	if _, err := a.Resolve(t.Context(), "default", "rec-1"); !fault.Is(harmless(t, err), fault.Unavailable, fault.Platform) {
		t.Errorf("away: %v", err)
	}
}

func TestAMediaTokenGoesToNamedHostsOnly(t *testing.T) {
	endpoint := granting(t)
	a := open(t, platform.Config{TokenHosts: []string{"Media.example.com", "cdn.example.com:8443", "2001:db8::1", "files.example.com:443"}, OAuth: client(endpoint)}, &turns{}, endpoint)
	for link, want := range map[string]bool{
		"https://media.example.com/m": true, "https://MEDIA.EXAMPLE.COM:444/m": true, "https://cdn.example.com:8443/m": true, "https://[2001:db8::1]/m": true,
		"https://files.example.com/m": true, "https://files.example.com:444/m": false,
		"https://cdn.example.com/m": false, "https://cdn.example.com:8444/m": false, "https://media.example.com.evil.example/m": false,
		"https://evil.example/media.example.com": false, "https://media.example.com@evil.example/m": false, "https://media.example.com./m": false,
		"https://xmedia.example.com/m": false, "https://example.com/m": false,
	} {
		u, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		key, ok := a.Key("default", u)
		if ok != want {
			t.Errorf("%s: %v", link, ok)
		}
		if !ok {
			continue
		}
		if token, err := key.Token(t.Context()); err != nil || token != "token-1-"+secret {
			t.Errorf("%s: %q %v", link, token, err)
		}
	}
}
