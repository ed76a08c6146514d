package platform_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/platform"
	"github.com/twinreel/twinreel/pkg/settings"
)

// fresh is the link that resolvers give.
const fresh = "https://cdn.example.com/m/rec-1.wav?sig=" + secret

func TestAResolverIsAskedForTheRecordingOfTheSource(t *testing.T) {
	s := serve(t, mediaURL(fresh))
	to := &turns{}
	a := open(t, platform.Config{ResolverURL: s.URL + "/api/{source}/{recordingId}/media?id={recordingId}", ResolverToken: settings.NewSecret(secret)}, to, s)
	for _, source := range []string{"default", "emea"} {
		link, err := a.Resolve(t.Context(), source, "rec-1.a_b")
		if err != nil || link != fresh {
			t.Fatalf("%q %v", link, err)
		}
	}
	asked := s.requests()
	if len(asked) != 2 || asked[0].URL.String() != "/api/default/rec-1.a_b/media?id=rec-1.a_b" || asked[1].URL.Path != "/api/emea/rec-1.a_b/media" {
		t.Errorf("asked for %v", asked)
	}
	if asked[0].Method != http.MethodGet || asked[0].Header.Get("Authorization") != "Bearer "+secret || asked[0].Header.Get("Accept") != "application/json" {
		t.Errorf("asked with %s %v", asked[0].Method, asked[0].Header)
	}
	if !slices.Equal(to.taken, []string{"default@10", "emea@10"}) {
		t.Errorf("turns taken: %q", to.taken)
	}
}

// TestAResolverThatIsNotToldTheSourceServesTheDefaultOneAlone guards against another source's recording of the same ID.
func TestAResolverThatIsNotToldTheSourceServesTheDefaultOneAlone(t *testing.T) {
	s := serve(t, mediaURL(fresh))
	a := open(t, platform.Config{ResolverURL: s.URL + "/api/{recordingId}"}, &turns{}, s)
	if _, err := a.Resolve(t.Context(), "emea", "rec-1"); !errors.Is(err, platform.ErrNoResolver) {
		t.Errorf("emea: %v", err)
	}
	if _, err := a.Resolve(t.Context(), "default", "rec-1"); err != nil {
		t.Errorf("default: %v", err)
	}
	none := open(t, platform.Config{}, &turns{})
	if _, err := none.Resolve(t.Context(), "default", "rec-1"); !errors.Is(err, platform.ErrNoResolver) {
		t.Errorf("none: %v", err)
	}
}

func TestAnAnswerBecomesItsClass(t *testing.T) {
	type want struct {
		class fault.Class
		part  fault.Part
	}
	for code, w := range map[int]want{
		202: {fault.Throttled, fault.Platform}, 429: {fault.Throttled, fault.Platform}, 500: {fault.Unavailable, fault.Platform}, 503: {fault.Unavailable, fault.Platform},
		401: {fault.Denied, fault.Platform}, 403: {fault.Denied, fault.Platform}, 404: {fault.SourceGone, fault.Source}, 410: {fault.SourceGone, fault.Source},
		400: {fault.Transient, fault.Platform}, 204: {fault.Transient, fault.Platform}, 302: {fault.Transient, fault.Platform}, 307: {fault.Transient, fault.Platform},
	} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.Header().Set("Location", "/api/elsewhere")
			w.WriteHeader(code)
		})
		a := open(t, platform.Config{ResolverURL: s.URL + "/api/{recordingId}?" + secret, ResolverToken: settings.NewSecret(secret)}, &turns{}, s)
		link, err := a.Resolve(t.Context(), "default", "rec-1")
		if link != "" || !fault.Is(harmless(t, err), w.class, w.part) || fault.StatusOf(err) != code || fault.RetryAfterOf(err) != 7*time.Second {
			t.Errorf("%d: %q %v (%v of %v, status %d, again after %s)", code, link, err, fault.ClassOf(err), fault.PartOf(err), fault.StatusOf(err), fault.RetryAfterOf(err))
		}
		if n := len(s.requests()); n != 1 {
			t.Errorf("%d: asked %d times", code, n)
		}
	}
}

func TestAnAnswerWithoutAUsableLinkIsCorrupt(t *testing.T) {
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) }
	}
	for name, handle := range map[string]http.HandlerFunc{
		"a page": text("<html>" + secret), "nothing": text(""), "no link": text(`{}`), "an empty link": mediaURL(""), "another type": text(`{"mediaUrl":1}`),
		"a relative link": mediaURL("/m/" + secret), "a file": mediaURL("file:///etc/" + secret), "a long one": mediaURL(fresh + strings.Repeat("x", 5000)),
		"a long answer": text(`{"mediaUrl":"` + fresh + `","more":"` + strings.Repeat("x", 70_000) + `"}`),
	} {
		s := serve(t, handle)
		a := open(t, platform.Config{ResolverURL: s.URL + "/api/{recordingId}"}, &turns{}, s)
		if link, err := a.Resolve(t.Context(), "default", "rec-1"); link != "" || !fault.Is(harmless(t, err), fault.Corrupt, fault.Platform) {
			t.Errorf("%s: %q %v", name, link, err)
		}
	}
}

func TestAResolverThatIsAwayIsUnavailable(t *testing.T) {
	s := serve(t, mediaURL(fresh))
	away := s.URL + "/api/{recordingId}?" + secret
	s.Close()
	a := open(t, platform.Config{ResolverURL: away}, &turns{}, s)
	if _, err := a.Resolve(t.Context(), "default", "rec-1"); !fault.Is(harmless(t, err), fault.Unavailable, fault.Platform) {
		t.Errorf("refused: %v (%v)", err, fault.ClassOf(err))
	}
	untrusted := serve(t, mediaURL(fresh))
	a = open(t, platform.Config{ResolverURL: untrusted.URL + "/api/{recordingId}?" + secret}, &turns{})
	if _, err := a.Resolve(t.Context(), "default", "rec-1"); !fault.Is(harmless(t, err), fault.Unavailable, fault.Platform) {
		t.Errorf("untrusted: %v (%v)", err, fault.ClassOf(err))
	}
	frozen := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	a = open(t, platform.Config{ResolverURL: frozen.URL + "/api/{recordingId}"}, &turns{}, frozen)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := a.Resolve(ctx, "default", "rec-1"); !fault.Is(err, fault.Unavailable, fault.Platform) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("frozen: %v", err)
	}
}

func TestAChangedResolverTokenIsTriedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old-" + secret)
	now := time.Now()
	token, err := settings.SecretFile("X_FILE", path, settings.Clock(func() time.Time { now = now.Add(3 * time.Second); return now }))
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer new-"+secret {
			write("new-" + secret) // it changes just then
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mediaURL(fresh)(w, r)
	})
	a := open(t, platform.Config{ResolverURL: s.URL + "/api/{recordingId}", ResolverToken: token}, &turns{}, s)
	if link, err := a.Resolve(t.Context(), "default", "rec-1"); err != nil || link != fresh || len(s.requests()) != 2 {
		t.Errorf("%q %v, asked %d times", link, err, len(s.requests()))
	}
}
