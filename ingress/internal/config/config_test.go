package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/ingress/internal/config"
	"github.com/twinreel/twinreel/pkg/settings"
)

// load reads the settings from pairs of name and value.
func load(t *testing.T, pairs ...string) (*config.Config, error) {
	t.Helper()
	vars := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		vars[pairs[i]] = pairs[i+1]
	}
	var c config.Config
	err := settings.Load(&c, func(name string) (string, bool) { v, ok := vars[name]; return v, ok })
	return &c, err
}

// wantProblems fails unless err is these lines.
func wantProblems(t *testing.T, err error, lines ...string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if want := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOnlyTheSecretIsRequired(t *testing.T) {
	_, err := load(t)
	wantProblems(t, err, "TWINREEL_WEBHOOK_SECRET: is required, or a path in TWINREEL_WEBHOOK_SECRET_FILE: what the platform signs with")
	c, err := load(t, "TWINREEL_WEBHOOK_SECRET", "a")
	wantProblems(t, err)
	w := c.Webhook
	if w.MaxBody != 256<<10 || w.AckTimeout.String() != "2.5s" || w.Scheme != "hub-sha256" || w.Profile.Participants != "full" || c.HTTP.ListenAddr != ":8080" {
		t.Errorf("defaults: %+v %+v", c.HTTP, w)
	}
}

func TestEachBadSettingIsNamed(t *testing.T) {
	const secret = "TWINREEL_WEBHOOK_SECRET"
	for _, c := range []struct {
		name  string
		pairs []string
		want  string
	}{
		{"body too small", []string{"TWINREEL_MAX_BODY_BYTES", "10"}, "TWINREEL_MAX_BODY_BYTES: want 1KiB to 64MiB"},
		{"body too large", []string{"TWINREEL_MAX_BODY_BYTES", "1GiB"}, "TWINREEL_MAX_BODY_BYTES: want 1KiB to 64MiB"},
		{"no time for the stream", []string{"TWINREEL_ACK_TIMEOUT", "-1s"}, "TWINREEL_ACK_TIMEOUT: want more than 0 and at most 1m"},
		{"unknown scheme", []string{"TWINREEL_WEBHOOK_SCHEME", "md5"}, "TWINREEL_WEBHOOK_SCHEME: want hub-sha256, standard-webhooks or none"},
		{"unknown choice of participants", []string{"TWINREEL_PARTICIPANTS", "some"}, "TWINREEL_PARTICIPANTS: want full, ids or none"},
		{"bad address", []string{"TWINREEL_LISTEN_ADDR", "8080"}, "TWINREEL_LISTEN_ADDR: want host:port or :port, such as :8080 or 127.0.0.1:8080"},
		{"a certificate without key", []string{"TWINREEL_TLS_CERT_FILE", "x"}, "TWINREEL_TLS_KEY_FILE: set it together with TWINREEL_TLS_CERT_FILE"},
		{"a key without certificate", []string{"TWINREEL_TLS_KEY_FILE", "x"}, "TWINREEL_TLS_CERT_FILE: set it together with TWINREEL_TLS_KEY_FILE"},
		{"no scheme, unsaid", []string{"TWINREEL_WEBHOOK_SCHEME", "none"}, "TWINREEL_WEBHOOK_SCHEME: none is taken only together with TWINREEL_ALLOW_UNSIGNED=true"},
		{"a secret that its scheme cannot use", []string{"TWINREEL_WEBHOOK_SCHEME", "standard-webhooks"}, "TWINREEL_WEBHOOK_SECRET: a secret of scheme standard-webhooks is base64, after whsec_"},
		{"no such sources file", []string{"TWINREEL_SOURCES_FILE", "/nonexistent"}, "TWINREEL_SOURCES_FILE: /nonexistent: cannot be read: no such file or directory"},
		{"bad NATS address", []string{"TWINREEL_NATS_URL", "http://x"}, "TWINREEL_NATS_URL: want nats://host:port or tls://host:port, several separated by commas"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, append(c.pairs, secret, "hunter-2!")...)
			wantProblems(t, err, c.want)
		})
	}
}

func TestACertificateThatDoesNotFitItsKeyIsAProblem(t *testing.T) {
	path := file(t, "no PEM")
	_, err := load(t, "TWINREEL_WEBHOOK_SECRET", "a", "TWINREEL_TLS_CERT_FILE", path, "TWINREEL_TLS_KEY_FILE", path)
	if err == nil || !strings.HasPrefix(err.Error(), "TWINREEL_TLS_CERT_FILE: certificate and key cannot be read as a pair") {
		t.Errorf("got %v", err)
	}
}

func TestSchemeNoneNeedsNoSecretButAnExplicitLeave(t *testing.T) {
	c, err := load(t, "TWINREEL_WEBHOOK_SCHEME", "none", "TWINREEL_ALLOW_UNSIGNED", "true")
	wantProblems(t, err)
	if s, err := c.Webhook.Sources(nil); err != nil || s["default"].Scheme != config.None {
		t.Errorf("got %+v, %v", s, err)
	}
}
