package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/ingress/internal/config"
)

// withSources loads settings with a sources file of that content; problems have no path in them.
func withSources(t *testing.T, content string, pairs ...string) (map[string]config.Source, []string) {
	t.Helper()
	path := file(t, content)
	c, err := load(t, append(pairs, "TWINREEL_WEBHOOK_SECRET", "a", "TWINREEL_SOURCES_FILE", path)...)
	if err != nil {
		return nil, strings.Split(strings.ReplaceAll(err.Error(), "TWINREEL_SOURCES_FILE: "+path+": ", ""), "\n")
	}
	s, err := c.Webhook.Sources(func(string, string) {})
	if err != nil {
		t.Fatal(err)
	}
	return s, nil
}

func TestFurtherSourcesStandBesideTheDefaultOne(t *testing.T) {
	secret := file(t, "one\ntwo\n")
	sources, problems := withSources(t, `
sources:
  - {name: emea, secrets: [first], secret_files: [`+secret+`], resolver: "https://x/{recordingId}", token: abc}
  - {name: partner-7, scheme: standard-webhooks, secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, c2Vjb25k]}
`)
	if problems != nil {
		t.Fatal(problems)
	}
	if len(sources) != 3 || sources["emea"].Scheme != config.HubSHA256 || sources["partner-7"].Scheme != config.StandardWebhooks {
		t.Errorf("got %+v", sources)
	}
	var keys []string
	for _, k := range sources["emea"].Keys() {
		keys = append(keys, string(k))
	}
	if got := strings.Join(keys, " "); got != "first one two" {
		t.Errorf("keys of emea: %q", got)
	}
	if k := sources["partner-7"].Keys(); len(k) != 2 || len(k[0]) != 24 || string(k[1]) != "second" {
		t.Errorf("keys of partner-7: %q", k)
	}
}

func TestEveryProblemOfTheFileNamesSourceAndFieldAndNoSecret(t *testing.T) {
	for _, c := range []struct {
		name, content string
		want          []string
	}{
		{"not YAML", "sources: [", []string{"is not YAML: line 1: did not find expected node content"}},
		{"empty", "", []string{"top level: got null, want object"}},
		{"a key twice", "sources: []\nsources: []\n", []string{`is not YAML: unmarshal errors:   line 2: mapping key "sources" already defined at line 1`}},
		{"another key", "source: []\n", []string{"top level: missing property 'sources'", "top level: additional properties 'source' not allowed"}},
		{"no name", "sources: [{secrets: [a]}]", []string{"source 1: missing property 'name'"}},
		{"unknown field", "sources: [{name: emea, secrets: [a], secert: hunter2}]", []string{"source 1 (emea): additional properties 'secert' not allowed"}},
		{"a secret that is no text", "sources: [{name: emea, secrets: [12345]}]", []string{"source 1 (emea), field secrets.0: got number, want string"}},
		{
			"unknown scheme", "sources: [{name: emea, secrets: [a], scheme: md5}]",
			[]string{"source 1 (emea), field scheme: value must be one of 'hub-sha256', 'standard-webhooks', 'none'"},
		},
		{"all at once", `
sources:
  - {name: default, secrets: [hunter2]}
  - {name: recording-complete, secrets: [hunter2]}
  - {name: emea}
  - {name: emea, scheme: standard-webhooks, secrets: [hunter2!]}
  - {name: open, scheme: none}
  - {name: gone, secret_files: [/nonexistent]}
`, []string{
			"source 1 (default), field name: there is another source of this name",
			`source 2 (recording-complete), field name: want 1 to 32 of a-z 0-9 - , and not "recording-complete"`,
			"source 3 (emea), field secrets: are missing; give secrets or secret_files",
			"source 4 (emea), field name: there is another source of this name",
			"source 4 (emea), field secrets: a secret of scheme standard-webhooks is base64, after whsec_",
			"source 5 (open), field scheme: none is taken only together with TWINREEL_ALLOW_UNSIGNED=true",
			"source 6 (gone), field secret_files: file /nonexistent cannot be read: no such file or directory",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := withSources(t, c.content)
			if got, want := strings.Join(problems, "\n"), strings.Join(c.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if strings.Contains(strings.Join(problems, "\n"), "hunter2") {
				t.Error("a secret is in the problems")
			}
		})
	}
}

func TestABadNameIsAProblem(t *testing.T) {
	_, problems := withSources(t, "sources: [{name: EMEA, secrets: [a]}]")
	if len(problems) != 1 || !strings.HasPrefix(problems[0], "source 1 (EMEA), field name: 'EMEA' does not match pattern") {
		t.Errorf("got %q", problems)
	}
}

func TestASourceWithoutSignaturesNeedsLeave(t *testing.T) {
	sources, problems := withSources(t, "sources: [{name: open, scheme: none}]", "TWINREEL_ALLOW_UNSIGNED", "true")
	if problems != nil || sources["open"].Scheme != config.None {
		t.Errorf("got %v, %q", sources, problems)
	}
}

func TestAHugeFileIsRefused(t *testing.T) {
	_, problems := withSources(t, strings.Repeat("# much\n", 1<<18))
	if len(problems) != 1 || problems[0] != "is longer than 1MiB" {
		t.Errorf("got %q", problems)
	}
}

func TestTheExampleIsValidButForItsSecretFile(t *testing.T) {
	b, err := os.ReadFile("sources.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(b), "/run/secrets/emea-webhook", secret)
	if sources, problems := withSources(t, text); problems != nil || len(sources) != 3 {
		t.Errorf("got %v, %q", sources, problems)
	}
}
