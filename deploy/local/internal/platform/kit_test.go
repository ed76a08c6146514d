package platform_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

const secret = "a secret of the platform"

// start returns a platform that ends with the test.
func start(t testing.TB, cfg platform.Config) *platform.Platform {
	t.Helper()
	if cfg.Secret == "" {
		cfg.Secret = secret
	}
	p, err := platform.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func add(t testing.TB, p *platform.Platform, spec platform.Spec) *platform.Recording {
	t.Helper()
	rec, err := p.Add(spec)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// client is a plain one: it follows no redirects, undoes no compression and keeps no connections.
func client() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       time.Minute,
	}
}

// ask sends one request with the headers, given as name, value, name, value.
func ask(ctx context.Context, t testing.TB, method, url string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func get(t testing.TB, url string, headers ...string) *http.Response {
	t.Helper()
	return ask(t.Context(), t, http.MethodGet, url, headers...)
}

// fetch returns status and body of a GET that has to end well.
func fetch(t testing.TB, url string, headers ...string) (int, []byte) {
	t.Helper()
	resp := get(t, url, headers...)
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read the body: %v", err)
	}
	return resp.StatusCode, b
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// until waits for a condition.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("after 10 s still not: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}
