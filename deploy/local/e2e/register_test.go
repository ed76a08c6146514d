package e2e

import (
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// given a fleet that no platform knows of, when an operator registers the webhook, twice, then the platform has one, with
// the guide's body, and what it tells by it is stored in both tiers; RECORDING_STARTED is refused.
func TestRegisteringTheWebhookBringsTheRecordings(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{bare: true, platform: platform.Config{Seed: 61, APIToken: rand.Text()}})
	b.startWith(nil)
	b.platform.SetIngressURL("") // what comes, comes by the registration
	where := b.ingress.URL() + "/api/v1/webhooks/recording-complete"
	register := func(code int, says string, args ...string) (stdout string) {
		t.Helper()
		env := []string{"TWINREEL_PLATFORM_API_URL=" + b.platform.URL(), "TWINREEL_PLATFORM_TOKEN=" + b.platform.APIToken()}
		res, err := b.fleet.CommandWith(t.Context(), env, append([]string{"webhook"}, args...)...)
		b.must(err)
		if res.Code != code || !strings.Contains(res.Stdout+res.Stderr, says) {
			t.Fatalf("webhook %v: exit code %d\n%s%s, want %d and %q", args, res.Code, res.Stdout, res.Stderr, code, says)
		}
		if strings.Contains(res.Stdout+res.Stderr, b.platform.APIToken()) {
			t.Error("it shows the token")
		}
		return res.Stdout
	}
	register(2, "neither a media link nor", "register", "--url", where, "--event", "RECORDING_STARTED", "--yes")
	register(0, "would be created", "register", "--url", where, "--dry-run")
	if n := len(b.platform.Webhooks()); n != 0 {
		t.Fatalf("%d webhooks before anybody meant it", n)
	}
	args := []string{"register", "--url", where, "--header", "X-Webhook-Source=GenesysCloud", "--header", "X-Environment=test", "--yes", "-o", "json"}
	register(0, `"action": "created"`, args...)
	register(0, `"action": "unchanged"`, args...)
	register(1, `name is "Twinreel", not "another"`, append([]string{"register", "--url", where, "--name", "another", "--yes"}, "-o", "json")...)
	var shown []struct {
		ID, URL string
		Remarks []string
	}
	b.must(json.Unmarshal([]byte(register(0, where, "show", "-o", "json")), &shown))
	if len(shown) != 1 || len(shown[0].Remarks) != 0 || shown[0].URL != where {
		t.Errorf("shown: %+v", shown)
	}
	want := `{"name":"Twinreel","url":"` + where + `","event":"RECORDING_COMPLETED","enabled":true,"contentType":"application/json",` +
		`"retryCount":3,"retryDelay":15000,"headers":{"X-Environment":"test","X-Webhook-Source":"GenesysCloud"}}`
	if got := b.platform.WebhookBodies(); len(got) != 1 || got[0] != want {
		t.Errorf("it was created by\n%s\nwant\n%s", got, want)
	}
	var trail []string
	for line := range b.trail("") {
		if strings.HasPrefix(line, "register.all ") && strings.Contains(line, "@") {
			trail = append(trail, line)
		}
	}
	if len(trail) != 2 {
		t.Errorf("the audit log has of the registration: %q, want that it was asked for, and done", trail)
	}
	b.send(b.add(platform.Spec{ID: "rec-told", Size: mib, SendSize: true, Expect: platform.ExpectStored}))
	b.settle()
	b.sound(1)
	b.noLetters()
}
