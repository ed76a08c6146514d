package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/ingress/internal/config"
	"github.com/twinreel/twinreel/pkg/profile"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
)

// Whatever is asked, the answer is one of the contract's, and only what is signed is published.
func FuzzRequest(f *testing.F) {
	f.Add("POST", defaultPath, "application/json", hub(secret, valid), []byte(valid))
	f.Add("POST", emeaPath, "application/vnd.acme+json; charset=utf-8", "", []byte(valid))
	f.Add("GET", Path, "", "", []byte(nil))
	f.Add("POST", Path+"nobody/../default", "application/json;;", "sha256=00", []byte("{}"))
	f.Add("PO\x00ST", "/%2e\xff", "text/xml", "sha256="+strings.Repeat("0", 64), bytes.Repeat([]byte("a"), 5000))
	f.Fuzz(func(t *testing.T, method, path, contentType, signature string, body []byte) {
		p := &published{}
		h := New(Options{
			Sources: map[string]config.Source{
				"default": config.NewSource("default", config.HubSHA256, settings.NewSecret(secret)),
				"emea":    config.NewSource("emea", config.None),
			},
			Publisher: p, Router: routed(queue.Both), Ready: func(context.Context) bool { return true }, MaxBody: 4096, AckTimeout: time.Second,
			Participants: profile.ParticipantsFull, Now: time.Now, Log: zap.NewNop(), Registry: prometheus.NewRegistry(),
		})
		r := httptest.NewRequest(http.MethodPost, defaultPath, bytes.NewReader(body))
		r.Method, r.URL = method, &url.URL{Path: path}
		r.Header = http.Header{"Content-Type": {contentType}, "X-Hub-Signature-256": {signature}, "Traceparent": {signature}}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var a answered
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Fatalf("%d %q: %v", w.Code, w.Body, err)
		}
		if status, _ := Code(a.Code).status(); status != w.Code || w.Code == http.StatusServiceUnavailable {
			t.Fatalf("answered %d %s", w.Code, a.Code)
		}
		if (len(p.events) == 1) != (a.Code == string(Accepted)) {
			t.Fatalf("%d events, answered %s", len(p.events), a.Code)
		}
		open := path == emeaPath
		if w.Code == http.StatusOK && !open && !strings.EqualFold(signature, hub(secret, string(body))) {
			t.Fatal("taken without its signature")
		}
	})
}

// No header makes the check of a signature fail in another way than by saying no, and none but the right one passes.
func FuzzSignature(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	right := func(id, stamp, body string) string {
		return "v1," + base64.StdEncoding.EncodeToString(mac("second", id+"."+stamp+"."+body))
	}
	f.Add(hub(secret, "{}"), "msg-1", "1800000000", right("msg-1", "1800000000", "{}"), []byte("{}"))
	f.Add("sha256=", "", "-9223372036854775808", "v1,", []byte{})
	f.Add("sha256="+strings.Repeat("g", 64), "a.b", "9223372036854775807", "v1a,x v1,AAAA v1,====", []byte("."))
	sources := []config.Source{
		config.NewSource("a", config.HubSHA256, settings.NewSecret("first\n"+secret)),
		config.NewSource("b", config.StandardWebhooks, settings.NewSecret("whsec_c2Vjb25k")),
	}
	f.Fuzz(func(t *testing.T, hubSignature, id, stamp, list string, body []byte) {
		h := http.Header{}
		for name, v := range map[string]string{"X-Hub-Signature-256": hubSignature, "webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": list} {
			h.Set(name, v)
		}
		rightHub := strings.EqualFold(hubSignature, hub(secret, string(body))) || strings.EqualFold(hubSignature, hub("first", string(body)))
		if err := verify(sources[0], h, body, now); err == nil && !rightHub {
			t.Fatal("another hub signature passed")
		}
		// All but the last digit, of which base64 ignores some bits, and the padding.
		want := strings.TrimSuffix(right(id, stamp, string(body)), "=")
		if err := verify(sources[1], h, body, now); err == nil && !strings.Contains(list, want[:len(want)-1]) {
			t.Fatal("another Standard Webhooks signature passed")
		}
		trace := traceparent(http.Header{"Traceparent": {hubSignature}})
		if !traceForm.MatchString(trace) || !strings.HasPrefix(trace, "00-") {
			t.Fatalf("traceparent %q", trace)
		}
	})
}
