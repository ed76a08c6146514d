package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/ingress/internal/config"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
)

// lax is how a reader that is not strict, such as Go's own, understands a webhook.
type lax struct {
	Event, EventID, RecordingID, MediaFormat, MediaURL, SHA256 string

	Duration     float64
	Size         *int64
	Tags         map[string]string
	CompletedAt  *time.Time
	Participants []struct{ ID, Role, Name string }
}

// What parse takes, every other reader must understand the same way, and the workers must be able to read.
func FuzzPayload(f *testing.F) {
	for _, seed := range []string{
		valid, `{"event":"RECORDING_STARTED","recordingId":"rec-1"}`, `{}`, `null`, `[{"a":[{}]}]`,
		`{"event":"RECORDING_COMPLETED","recordingId":"a","mediaFormat":"wav","duration":0,"participants":[],"mediaUrl":"http://x"}`,
		`{"a":"\ud83d\ude00","A":"\u0061","a":1}`, `{"\u0061":1,"a":2}`, `{"Event":1}`, `{"\u017fize":1,"mediaU\u212al":2}`, `{"tags":{"a":"b","a":"c"}}`,
		strings.Replace(valid, `"duration":183.4`, `"duration":-0`, 1), strings.Replace(valid, `"size":123`, `"size":9223372036854775807`, 1),
		strings.Replace(valid, `10:00:00Z`, `10:00:00.123456789+14:00`, 1), strings.Repeat(`{"a":`, 70) + `1` + strings.Repeat(`}`, 70),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := parse("emea", body)
		if err != nil {
			if text := err.Error(); len(text) > 1024 || strings.ContainsFunc(text, unicode.IsControl) {
				t.Fatalf("an error that does not fit into a line: %q", text)
			}
			return
		}
		var other lax
		if err := json.Unmarshal(body, &other); p.completed && err != nil {
			t.Fatalf("others cannot read it: %v", err)
		}
		if p.completed != (other.Event == completed) {
			t.Fatalf("others read the event %q", other.Event)
		}
		if p.completed {
			sameForAll(t, p, other)
			readable(t, p)
		}
	})
}

// sameForAll holds what was read against what another reader read.
func sameForAll(t *testing.T, p payload, other lax) {
	t.Helper()
	d := p.data
	switch {
	case d.RecordingID != other.RecordingID, d.Media.Format != other.MediaFormat, d.Media.URL != other.MediaURL,
		d.Media.SHA256 != strings.ToLower(other.SHA256), d.DurationSeconds != other.Duration, other.EventID != "" && p.eventID != other.EventID,
		(d.Media.Size == nil) != (other.Size == nil), d.Media.Size != nil && *d.Media.Size != *other.Size, !maps.Equal(d.Tags, other.Tags),
		(d.CompletedAt == nil) != (other.CompletedAt == nil), d.CompletedAt != nil && !d.CompletedAt.Equal(*other.CompletedAt),
		len(d.Participants) != len(other.Participants):
		t.Fatalf("read as %+v, by others as %+v", p, other)
	}
}

// readable says that the event of a payload must come out of the stream as it went in, whatever is kept of participants.
func readable(t *testing.T, p payload) {
	t.Helper()
	for _, keep := range []Participants{ParticipantsFull, ParticipantsIDs, ParticipantsNone} {
		d := p.data
		d.Participants = keep.keep(d.Participants)
		e := event.New(d, p.eventID, time.Unix(1_800_000_000, 0))
		if err := e.Check(); err != nil {
			t.Fatalf("accepted, but: %v", err)
		}
		sent, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := event.Parse(sent)
		if err != nil {
			t.Fatalf("the workers cannot read it: %v\n%s", err, sent)
		}
		if again, err := got.Encode(); err != nil || !bytes.Equal(sent, again) {
			t.Fatalf("the workers read %s\nof         %s\n%v", again, sent, err)
		}
	}
}

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
			Participants: ParticipantsFull, Now: time.Now, Log: zap.NewNop(), Registry: prometheus.NewRegistry(),
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
