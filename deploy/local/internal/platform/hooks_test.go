package platform_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

const hooksPath = "/api/v2/integrations/webhooks"

// create asks the platform for a webhook.
func create(t *testing.T, p *platform.Platform, token, body string) (status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL()+hooksPath, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func hook(name, url string) string {
	return fmt.Sprintf(`{"name":%q,"url":%q,"event":"RECORDING_COMPLETED","enabled":true,"contentType":"application/json","retryCount":3,`+
		`"retryDelay":15000,"headers":{"X-Environment":"test"}}`, name, url)
}

func TestARegisteredWebhookIsSentToItsAddressWithItsHeaders(t *testing.T) {
	var path, header string
	ingress := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, header = r.URL.Path, r.Header.Get("X-Environment")
		fmt.Fprint(w, `{"code":"accepted"}`)
	}))
	defer ingress.Close()
	p := start(t, platform.Config{APIToken: "token"})
	rec := add(t, p, platform.Spec{ID: "r1", Size: 1000})
	if _, err := p.Send(t.Context(), rec); err == nil {
		t.Fatal("sent before anybody registered")
	}
	if got := create(t, p, "token", hook("ours", ingress.URL+"/somewhere")); got != http.StatusCreated {
		t.Fatalf("got %d", got)
	}
	if _, err := p.Send(t.Context(), rec); err != nil || path != "/somewhere" || header != "test" {
		t.Errorf("sent to %q with %q, %v", path, header, err)
	}
}

func TestTheWebhookAPIRefusesWhatThePlatformWould(t *testing.T) {
	now := time.Now()
	p := start(t, platform.Config{APIToken: "token", Now: func() time.Time { return now }})
	for body, want := range map[string]int{"{": http.StatusBadRequest, `{"name":"x"}`: http.StatusBadRequest} {
		if got := create(t, p, "token", body); got != want {
			t.Errorf("%s: got %d", body, got)
		}
	}
	if got := create(t, p, "other", hook("x", "https://x")); got != http.StatusUnauthorized || len(p.Webhooks()) != 0 {
		t.Errorf("got %d", got)
	}
	for range 7 {
		create(t, p, "token", hook("x", "https://x"))
	}
	if got := create(t, p, "token", hook("x", "https://x")); got != http.StatusTooManyRequests || p.MostAsked() != 11 || len(p.Webhooks()) != 7 {
		t.Errorf("the eleventh in a second: got %d of %d", got, p.MostAsked())
	}
	now = now.Add(time.Second)
	if got := create(t, p, "token", hook("x", "https://x")); got != http.StatusCreated {
		t.Errorf("a second later: got %d", got)
	}
}

func TestTheWebhooksAreListedInPages(t *testing.T) {
	now := time.Now()
	p := start(t, platform.Config{APIToken: "token", Now: func() time.Time { now = now.Add(time.Second); return now }})
	for n := range 30 {
		create(t, p, "token", hook(fmt.Sprint("hook ", n), "https://x"))
	}
	var names []string
	for next := hooksPath; next != ""; {
		var page struct {
			Entities []platform.Registered
			NextURI  string
		}
		if err := json.NewDecoder(ask(t.Context(), t, http.MethodGet, p.URL()+next, "Authorization", "Bearer token").Body).Decode(&page); err != nil {
			t.Fatal(err)
		}
		for _, h := range page.Entities {
			names = append(names, h.Name)
		}
		next = page.NextURI
	}
	if len(names) != 30 || names[29] != "hook 29" || len(p.WebhookBodies()) != 30 {
		t.Errorf("got %d: %v", len(names), names)
	}
}
