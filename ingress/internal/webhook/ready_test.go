package webhook

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestALoadBalancerIsToldWhetherToSendWebhooksAndNothingElse(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		ready  bool
		status int
		body   string
	}{{true, 200, `{"ready":true}`}, {false, 503, `{"ready":false}`}} {
		f.serving.Store(c.ready)
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, ReadyPath, http.NoBody))
		if w.Code != c.status || w.Body.String() != c.body+"\n" {
			t.Errorf("got %d %q, want %d %q", w.Code, w.Body, c.status, c.body)
		}
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("an answer that a proxy may keep: Cache-Control %q", got)
		}
	}
	if n := f.logs.Len(); n > 0 {
		t.Errorf("%d log lines: a health check every few seconds would drown what matters", n)
	}
	families, err := f.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "twinreel_webhooks_total" && len(family.GetMetric()) > 0 {
			for _, m := range family.GetMetric() {
				if m.GetCounter().GetValue() > 0 {
					t.Errorf("counted as a webhook: %v", m)
				}
			}
		}
	}
}

// It is one path and one method: whatever else is sent there is answered as before.
func TestOnlyAGetOfReadyzIsAHealthCheck(t *testing.T) {
	f := newFixture(t)
	f.serving.Store(true)
	for _, r := range []*http.Request{
		request(http.MethodPost, ReadyPath, []byte(valid)), request(http.MethodGet, ReadyPath+"/", nil), request(http.MethodGet, "/livez", nil),
		request(http.MethodGet, "/metrics", nil), request(http.MethodGet, Path+"readyz", nil),
	} {
		if w, a := f.do(t, r); w.Code != http.StatusNotFound || a.Code != string(UnknownSource) {
			t.Errorf("%s %s: got %d %s", r.Method, r.URL.Path, w.Code, w.Body)
		}
	}
	if w, a := f.do(t, request(http.MethodGet, defaultPath, nil)); w.Code != http.StatusMethodNotAllowed || a.Code != string(MethodNotAllowed) {
		t.Errorf("GET of a source: %d %s", w.Code, w.Body)
	}
}

func TestAHealthCheckThatWaitsIsAnsweredNotReadyBeforeItsClientGivesUp(t *testing.T) {
	f := newFixture(t)
	f.Serving = func(ctx context.Context) bool { <-ctx.Done(); return false }
	f.readyTimeout = 20 * time.Millisecond
	w := httptest.NewRecorder()
	f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, ReadyPath, http.NoBody))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("got %d", w.Code)
	}
}
