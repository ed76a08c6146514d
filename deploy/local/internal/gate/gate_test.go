package gate_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/gate"
)

// store is a server that counts what reaches it.
func store(t *testing.T) (g *gate.Gate, reached *atomic.Int64) {
	t.Helper()
	reached = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		reached.Add(1)
		_, _ = io.WriteString(w, strings.Repeat("a whole answer ", 20_000))
	}))
	t.Cleanup(server.Close)
	g, err := gate.New(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g, reached
}

func send(t *testing.T, g *gate.Gate, method, path string) (status int, body string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+g.Addr+path, strings.NewReader("a body"))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 3 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func TestEveryRequestIsKnownForWhatItIs(t *testing.T) {
	for _, r := range []struct {
		method, path string
		kind         gate.Kind
	}{
		{"POST", "/b/recordings/x.wav?uploads", gate.Begin},
		{"PUT", "/b/recordings/x.wav?partNumber=2&uploadId=u", gate.Part},
		{"POST", "/b/recordings/x.wav?uploadId=u", gate.Complete},
		{"PUT", "/b/recordings/x.wav", gate.Put},
		{"PUT", "/b/recordings/x.wav?tagging", gate.Tag},
		{"DELETE", "/b/recordings/x.wav?uploadId=u", gate.Abort},
		{"HEAD", "/b/recordings/x.wav", gate.Look},
		{"PUT", "/b/metadata/x.json", gate.Sidecar},
		{"PUT", "/b/probe/write?partNumber=1&uploadId=u", gate.Probe},
		{"PUT", "/acc/c/recordings/x.wav?comp=block&blockid=1", gate.Part},
		{"PUT", "/acc/c/recordings/x.wav?comp=blocklist", gate.Complete},
		{"PUT", "/acc/c/recordings/x.wav?comp=tags", gate.Tag},
	} {
		g, _ := store(t)
		if _, _, err := send(t, g, r.method, r.path); err != nil {
			t.Fatal(err)
		}
		if g.Count(r.kind) != 1 {
			t.Errorf("%s %s is not taken for %s", r.method, r.path, r.kind)
		}
	}
}

func TestRulesDecideWhatTheServerSeesAndWhatTheClientDoes(t *testing.T) {
	const path = "/b/recordings/x.wav"
	done := 0
	for name, c := range map[string]struct {
		rule    gate.Rule
		status  int
		broken  bool
		reached int64
	}{
		"passes":            {gate.Rule{Kinds: []gate.Kind{gate.Complete}, Break: true}, 200, false, 1},
		"another key":       {gate.Rule{Key: "y.wav", Break: true}, 200, false, 1},
		"is answered":       {gate.Rule{Answer: &gate.Answer{Status: 503, Code: "SlowDown"}}, 503, false, 0},
		"breaks":            {gate.Rule{Break: true}, 0, true, 0},
		"is lost":           {gate.Rule{Lose: true}, 0, true, 1},
		"is cut":            {gate.Rule{Truncate: true}, 200, true, 1},
		"never comes":       {gate.Rule{Before: func() { done++ }}, 0, true, 0},
		"is done unseen":    {gate.Rule{Done: func() { done++ }}, 0, true, 1},
		"only the second":   {gate.Rule{After: 1, Break: true}, 200, false, 1},
		"is never answered": {gate.Rule{Hold: true}, 0, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			g, reached := store(t)
			g.Set(c.rule)
			status, _, err := send(t, g, "PUT", path)
			if (err != nil) != c.broken || status != c.status || reached.Load() != c.reached {
				t.Errorf("status %d, error %v, %d reached the server", status, err, reached.Load())
			}
			g.Set()
			if status, _, err := send(t, g, "PUT", path); err != nil || status != 200 {
				t.Errorf("without rules: %d, %v", status, err)
			}
		})
	}
	if done != 2 {
		t.Errorf("the hooks ran %d times, want 2", done)
	}
}
