package config

import (
	"os"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/event"
)

// Whatever the file of further sources holds, it is refused with one line a problem, or each source in it can be sent for
// and checks what is sent.
func FuzzSourcesFile(f *testing.F) {
	example, err := os.ReadFile("sources.example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(example), "", "sources: []", "sources: [{name: emea, secrets: [a]}]", "sources: [{name: open, scheme: none}]",
		"sources: [{name: b, scheme: standard-webhooks, secrets: [whsec_c2Vjb25k]}]", "a: &a [*a]", "sources: {1: 2, ? [x] : y}",
		"sources: [{name: emea, secrets: ['', \"\\n\"]}]", "{sources: [{name: 1e3, secrets: [2026-11-24]}]}", "--- 1\n--- 2", "sources: !!binary aGk=", "<<: {sources: []}",
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, content []byte, allowUnsigned bool) {
		if strings.Contains(string(content), "secret_files") {
			return // other files of this machine are none of this test's business
		}
		file := sourcesFile{path: "sources.yaml", allowUnsigned: allowUnsigned}
		err := file.parse(content)
		var sources []Source
		if err == nil {
			sources = file.sources()
			if len(file.problems) > 0 {
				err = file.problems[0]
			}
		}
		if err != nil {
			for _, line := range lines(err) {
				if !strings.HasPrefix(line, "sources.yaml: ") {
					t.Fatalf("a problem that does not say where: %q", err)
				}
			}
			return
		}
		seen := map[string]bool{event.DefaultSource: true}
		for _, s := range sources {
			if event.CheckSource(s.Name) != nil || seen[s.Name] {
				t.Fatalf("source %q was taken", s.Name)
			}
			seen[s.Name] = true
			switch s.Scheme {
			case HubSHA256, StandardWebhooks:
				if len(s.Keys()) == 0 {
					t.Fatalf("source %q signs with nothing", s.Name)
				}
			case None:
				if !allowUnsigned {
					t.Fatalf("source %q does not sign", s.Name)
				}
			default:
				t.Fatalf("source %q has the scheme %q", s.Name, s.Scheme)
			}
			for _, key := range s.Keys() {
				if len(key) == 0 {
					t.Fatalf("source %q has an empty key", s.Name)
				}
			}
		}
	})
}
