package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/ingress/internal/config"
	"github.com/twinreel/twinreel/pkg/settings"
)

func mac(key, message string) []byte {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(message))
	return m.Sum(nil)
}

// hub returns the value of X-Hub-Signature-256.
func hub(secret, body string) string { return "sha256=" + hex.EncodeToString(mac(secret, body)) }

// headers returns a header from pairs; a name may come several times.
func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestHubSignatures(t *testing.T) {
	const name, body = "X-Hub-Signature-256", `{"a":1}`
	source := config.NewSource("default", config.HubSHA256, settings.NewSecret("one\ntwo\n"))
	for _, c := range []struct {
		name string
		h    http.Header
		want string // part of the error, "" for none
	}{
		{"first secret", headers(name, hub("one", body)), ""},
		{"second secret", headers(name, hub("two", body)), ""},
		{"upper-case digits", headers(name, "sha256="+strings.ToUpper(hub("one", body)[7:])), ""},
		{"none", headers(), "is missing"},
		{"wrong secret", headers(name, hub("three", body)), "does not match"},
		{"another body", headers(name, hub("one", body+" ")), "does not match"},
		{"doubled, both right", headers(name, hub("one", body), name, hub("one", body)), "exactly one"},
		{"doubled, one wrong", headers(name, hub("one", body), name, hub("three", body)), "exactly one"},
		{"two in one line", headers(name, hub("one", body)+", "+hub("one", body)), "not of the form"},
		{"no prefix", headers(name, hub("one", body)[7:]), "not of the form"},
		{"another algorithm", headers(name, "sha1="+hub("one", body)[7:]), "not of the form"},
		{"cut", headers(name, hub("one", body)[:60]), "not of the form"},
		{"empty", headers(name, ""), "not of the form"},
		{"empty digest", headers(name, "sha256="), "not of the form"},
		{"the empty key", headers(name, hub("", body)), "does not match"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantError(t, verify(source, c.h, []byte(body), time.Now()), c.want)
		})
	}
}

// wantError fails unless err has part in it, or is nil for "".
func wantError(t *testing.T, err error, part string) {
	t.Helper()
	switch {
	case part == "" && err != nil:
		t.Errorf("got %v, want none", err)
	case part != "" && (err == nil || !strings.Contains(err.Error(), part)):
		t.Errorf("got %v, want one with %q", err, part)
	}
}

func TestStandardWebhooksSignatures(t *testing.T) {
	// The specification's own example.
	const (
		secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		id     = "msg_p5jXN8AQM9LWM0D4loKWxJek"
		body   = `{"test": 2432232314}`
		good   = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	)
	then := time.Unix(1614265330, 0)
	stamp := strconv.FormatInt(then.Unix(), 10)
	other := "v1," + base64.StdEncoding.EncodeToString(mac("second", id+"."+stamp+"."+body))
	source := config.NewSource("default", config.StandardWebhooks, settings.NewSecret(secret), settings.NewSecret("c2Vjb25k"))
	full := func(id, stamp, sig string, more ...string) http.Header {
		return headers(append([]string{"Webhook-Id", id, "webhook-timestamp", stamp, "webhook-signature", sig}, more...)...)
	}
	for _, c := range []struct {
		name string
		h    http.Header
		now  time.Time
		want string
	}{
		{"good", full(id, stamp, good), then, ""},
		{"second secret", full(id, stamp, other), then, ""},
		{"several signatures", full(id, stamp, "v1a,xyz v1,AAAA "+good), then, ""},
		{"5 min old", full(id, stamp, good), then.Add(5 * time.Minute), ""},
		{"5 min ahead", full(id, stamp, good), then.Add(-5 * time.Minute), ""},
		{"stale", full(id, stamp, good), then.Add(5*time.Minute + time.Second), "more than 5m0s away"},
		{"from the future", full(id, stamp, good), then.Add(-5*time.Minute - time.Second), "more than 5m0s away"},
		{"absurd time", full(id, "-9223372036854775808", good), then, "more than 5m0s away"},
		{"time moved", full(id, strconv.FormatInt(then.Unix()+1, 10), good), then, "does not match"},
		{"another ID", full(id+"x", stamp, good), then, "does not match"},
		{"no ID", headers("webhook-timestamp", stamp, "webhook-signature", good), then, "webhook-id is missing"},
		{"empty ID", full("", stamp, good), then, "is empty"},
		{"no time", headers("webhook-id", id, "webhook-signature", good), then, "webhook-timestamp is missing"},
		{"time in words", full(id, "today", good), then, "not in seconds"},
		{"no signature", headers("webhook-id", id, "webhook-timestamp", stamp), then, "webhook-signature is missing"},
		{"only other versions", full(id, stamp, "v2,AAAA v1a,AAAA"), then, "no signature of the form"},
		{"no base64", full(id, stamp, "v1,???"), then, "no signature of the form"},
		{"doubled signature", full(id, stamp, good, "webhook-signature", good), then, "exactly one"},
		{"doubled ID", full(id, stamp, good, "webhook-id", id), then, "exactly one"},
		{"doubled time", full(id, stamp, good, "webhook-timestamp", stamp), then, "exactly one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantError(t, verify(source, c.h, []byte(body), c.now), c.want)
		})
	}
}

func TestWithoutUsableSecretsNothingIsValid(t *testing.T) {
	const body = "{}"
	for _, s := range []config.Source{
		config.NewSource("a", config.HubSHA256), config.NewSource("a", config.HubSHA256, settings.Secret{}),
	} {
		wantError(t, verify(s, headers("X-Hub-Signature-256", hub("", body)), []byte(body), time.Now()), "does not match")
	}
	wantError(t, verify(config.Source{Scheme: "md5"}, nil, nil, time.Now()), "unknown signature scheme")
}

func TestARotatedSecretIsTakenWhileRunning(t *testing.T) {
	const body = "{}"
	path := filepath.Join(t.TempDir(), "secret")
	put := func(content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("old")
	now := time.Unix(0, 0)
	secret, err := settings.SecretFile("S", path, settings.Clock(func() time.Time { return now }))
	if err != nil {
		t.Fatal(err)
	}
	source := config.NewSource("default", config.HubSHA256, secret)
	check := func(step, key, want string) {
		t.Helper()
		now = now.Add(10 * time.Second)
		t.Log(step)
		wantError(t, verify(source, headers("X-Hub-Signature-256", hub(key, body)), []byte(body), now), want)
	}
	check("before", "new", "does not match")
	put("old\nnew\n")
	check("both are active", "old", "")
	check("both are active", "new", "")
	put("new\n")
	check("the old one is retired", "old", "does not match")
	put("")
	check("an emptied file keeps the last good", "new", "")
}
