package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/twinreel/twinreel/ingress/internal/config"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/profile"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
)

// published is a Publisher that answers as the test says, and keeps what it was given.
type published struct {
	answer func(ctx context.Context) (bool, error)
	events []event.Event
	routes []queue.Route
	trace  string
}

func (p *published) Completed(ctx context.Context, r queue.Route, e event.Event, trace string) (bool, error) {
	p.events, p.routes, p.trace = append(p.events, e), append(p.routes, r), trace
	if p.answer == nil {
		return false, nil
	}
	return p.answer(ctx)
}

// routed is a Router that says always the same.
type routed queue.Route

func (r routed) Route(*int64) queue.Route { return queue.Route(r) }

// fixture is a handler with its outside.
type fixture struct {
	*Handler
	published *published
	ready     atomic.Bool
	serving   atomic.Bool
	registry  *prometheus.Registry
	logs      *observer.ObservedLogs
}

const secret = "s3cret"

func newFixture(t *testing.T) *fixture {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	f := &fixture{published: &published{}, registry: prometheus.NewRegistry(), logs: logs}
	f.ready.Store(true)
	f.Handler = New(Options{
		Sources: map[string]config.Source{
			"default": config.NewSource("default", config.HubSHA256, settings.NewSecret(secret)),
			"emea":    config.NewSource("emea", config.None),
		},
		Publisher: f.published, Router: routed(queue.Both), Ready: func(context.Context) bool { return f.ready.Load() }, MaxBody: 4096, AckTimeout: 200 * time.Millisecond,
		Serving:      func(context.Context) bool { return f.serving.Load() },
		Participants: profile.ParticipantsFull, Now: time.Now, Log: zap.New(core), Registry: f.registry,
	})
	return f
}

// request returns a signed webhook; pairs are more headers, an empty value takes one away.
func request(method, path string, body []byte, pairs ...string) *http.Request {
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("X-Hub-Signature-256", hub(secret, string(body)))
	for i := 0; i < len(pairs); i += 2 {
		if r.Header.Del(pairs[i]); pairs[i+1] != "" {
			r.Header.Set(pairs[i], pairs[i+1])
		}
	}
	return r
}

// answered is what both kinds of body have.
type answered struct {
	Code, RecordingID, IdempotencyKey, Type, Title, Detail string
	Status                                                 int
}

func (f *fixture) do(t *testing.T, r *http.Request) (*httptest.ResponseRecorder, answered) {
	t.Helper()
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	var a answered
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	return w, a
}

const (
	defaultPath = "/api/v1/webhooks/recording-complete"
	emeaPath    = "/api/v1/webhooks/emea"
)

// sizes is a Router that keeps the sizes it is asked about.
type sizes []*int64

func (s *sizes) Route(size *int64) queue.Route {
	*s = append(*s, size)
	return queue.Backup
}

func TestWhatIsAcceptedGoesTheWayOfTheRouter(t *testing.T) {
	f, asked := newFixture(t), &sizes{}
	f.Router = asked
	for _, b := range [][]byte{[]byte(valid), with(t, "size", ""), []byte("x")} {
		f.do(t, request("POST", defaultPath, b))
	}
	if len(*asked) != 2 || *(*asked)[0] != 123 || (*asked)[1] != nil {
		t.Errorf("asked about %v, want 123 and nothing", *asked)
	}
	if got := f.published.routes; len(got) != 2 || got[0] != queue.Backup || got[1] != queue.Backup {
		t.Errorf("published by %v", got)
	}
	if line := f.logs.All()[0].ContextMap(); line["route"] != "backup" {
		t.Errorf("the log says %v", line)
	}
}

func TestChecksComeInTheContractsOrder(t *testing.T) {
	large := bytes.Repeat([]byte("a"), 4097)
	// Each request is wrong in what its line is about, and in all that comes after it.
	for _, c := range []struct {
		name   string
		r      *http.Request
		status int
		code   Code
	}{
		{"no such source", request("GET", "/api/v1/webhooks/nobody", large, "Content-Type", "text/xml", "X-Hub-Signature-256", ""), 404, UnknownSource},
		{"no source", request("POST", "/api/v1/webhooks/", []byte(valid)), 404, UnknownSource},
		{"below a source", request("POST", defaultPath+"/x", []byte(valid)), 404, UnknownSource},
		{"elsewhere", request("POST", "/", []byte(valid)), 404, UnknownSource},
		{"not POST", request("PUT", defaultPath, large, "Content-Type", "text/xml", "X-Hub-Signature-256", ""), 405, MethodNotAllowed},
		{"too large", request("POST", defaultPath, large, "Content-Type", "text/xml", "X-Hub-Signature-256", ""), 413, TooLarge},
		{"not JSON content", request("POST", defaultPath, []byte("x"), "Content-Type", "text/xml", "X-Hub-Signature-256", ""), 415, UnsupportedMediaType},
		{"no content type", request("POST", defaultPath, []byte(valid), "Content-Type", ""), 415, UnsupportedMediaType},
		{"compressed", request("POST", defaultPath, []byte(valid), "Content-Encoding", "gzip"), 415, UnsupportedMediaType},
		{"unsigned", request("POST", defaultPath, []byte("x"), "X-Hub-Signature-256", ""), 401, InvalidSignature},
		{"unusable", request("POST", defaultPath, []byte("x")), 400, InvalidPayload},
		{"good", request("POST", defaultPath, []byte(valid)), 200, Accepted},
		{"good, by the alias", request("POST", "/api/v1/webhooks/default", []byte(valid)), 200, Accepted},
		{"good, another source", request("POST", emeaPath, []byte(valid)), 200, Accepted},
		{"a structured suffix", request("POST", defaultPath, []byte(valid), "Content-Type", "application/vnd.acme+json"), 200, Accepted},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			w, a := f.do(t, c.r)
			if w.Code != c.status || a.Code != string(c.code) {
				t.Fatalf("got %d %s, want %d %s", w.Code, w.Body, c.status, c.code)
			}
			if got := len(f.published.events); got != map[bool]int{true: 1}[c.status == 200] {
				t.Errorf("%d events were published", got)
			}
			if c.status == 200 {
				return
			}
			if w.Header().Get("Content-Type") != "application/problem+json" || a.Status != c.status || a.Type != "about:blank" || a.Title == "" || a.Detail == "" {
				t.Errorf("no complete problem document: %v %s", w.Header(), w.Body)
			}
			if allow := w.Header().Get("Allow"); (allow == "POST") != (c.status == 405) {
				t.Errorf("Allow: %q", allow)
			}
		})
	}
}

func TestSuccessNamesTheRecordingAndItsKey(t *testing.T) {
	f := newFixture(t)
	if w, a := f.do(t, request("POST", emeaPath, []byte(valid))); a.RecordingID != "rec-1" || a.IdempotencyKey != "emea/rec-1" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("got %v %s", w.Header(), w.Body)
	}
	f.published.answer = func(context.Context) (bool, error) { return true, nil }
	if _, a := f.do(t, request("POST", defaultPath, []byte(valid))); a.Code != "duplicate" || a.IdempotencyKey != "rec-1" {
		t.Errorf("got %+v", a)
	}
	before := len(f.published.events)
	if _, a := f.do(t, request("POST", defaultPath, []byte(`{"event":"RECORDING_STARTED","recordingId":"rec-9"}`))); a.Code != "ignored" || a.RecordingID != "rec-9" {
		t.Errorf("got %+v", a)
	}
	if len(f.published.events) != before {
		t.Error("an ignored event was published")
	}
}

func TestOnlyAnAcknowledgementMakesA200(t *testing.T) {
	for name, answer := range map[string]func(context.Context) (bool, error){
		"the stream never answers": func(ctx context.Context) (bool, error) { <-ctx.Done(); return false, ctx.Err() },
		"the stream is full":       func(context.Context) (bool, error) { return false, errors.New("maximum bytes exceeded") },
		"NATS is away":             func(context.Context) (bool, error) { return false, errors.New("no servers available") },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.published.answer = answer
			w, a := f.do(t, request("POST", defaultPath, []byte(valid)))
			if w.Code != 503 || a.Code != "unavailable" || w.Header().Get("Retry-After") != "5" {
				t.Errorf("got %d %v %s", w.Code, w.Header(), w.Body)
			}
		})
	}
}

func TestWhileUnreadyNothingIsPublishedButWhatIsWrongIsStillSaid(t *testing.T) {
	f := newFixture(t)
	f.ready.Store(false)
	for want, r := range map[int]*http.Request{
		503: request("POST", defaultPath, []byte(valid)),
		400: request("POST", defaultPath, []byte("x")),
		401: request("POST", defaultPath, []byte(valid), "X-Hub-Signature-256", ""),
	} {
		if w, _ := f.do(t, r); w.Code != want {
			t.Errorf("got %d %s, want %d", w.Code, w.Body, want)
		}
	}
	if len(f.published.events) > 0 {
		t.Error("something was published")
	}
}

func TestAnEventLongerThanTheServerTakesIs413(t *testing.T) {
	f := newFixture(t)
	f.published.answer = func(context.Context) (bool, error) { return false, fmt.Errorf("%w: 1 bytes", queue.ErrTooLarge) }
	if w, a := f.do(t, request("POST", defaultPath, []byte(valid))); w.Code != 413 || a.Code != "too_large" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestASenderThatHasGoneDoesNotCancelThePublish(t *testing.T) {
	f := newFixture(t)
	f.published.answer = func(ctx context.Context) (bool, error) { return false, ctx.Err() }
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if w, _ := f.do(t, request("POST", defaultPath, []byte(valid)).WithContext(gone)); w.Code != 200 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestParticipantsAreKeptAsSetUp(t *testing.T) {
	f := newFixture(t)
	f.Participants = profile.ParticipantsNone
	f.do(t, request("POST", defaultPath, []byte(valid)))
	if p := f.published.events[0].Data.Participants; p == nil || len(p) != 0 {
		t.Errorf("got %v", p)
	}
}

func TestNothingSecretIsLoggedOrAnswered(t *testing.T) {
	f := newFixture(t)
	f.published.answer = func(context.Context) (bool, error) {
		return false, errors.New("lost https://cdn.example.com/m/1?signature=abc")
	}
	bad := with(t, "mediaUrl", `"ftp://cdn.example.com/m/1?signature=abc"`, "participants", `[{"name":"Ada"}]`)
	var out strings.Builder
	for _, r := range []*http.Request{
		request("POST", defaultPath, []byte(valid)), request("POST", defaultPath, bad), request("POST", defaultPath, []byte(valid), "X-Hub-Signature-256", "sha256="+secret),
		request("POST", "/api/v1/webhooks/rec?token=hunter2", []byte(valid)),
	} {
		w, _ := f.do(t, r)
		out.WriteString(w.Body.String())
	}
	if f.logs.Len() != 4 {
		t.Errorf("%d log lines for 4 webhooks", f.logs.Len())
	}
	for _, l := range f.logs.All() {
		fmt.Fprint(&out, l.Message, l.ContextMap())
	}
	for _, s := range []string{"signature=abc", "Ada", secret, "hunter2"} {
		if strings.Contains(out.String(), s) {
			t.Errorf("%q is in:\n%s", s, out.String())
		}
	}
}

func TestMetricsCountBySourceAndCode(t *testing.T) {
	f := newFixture(t)
	f.do(t, request("POST", defaultPath, []byte(valid)))
	f.do(t, request("POST", defaultPath, []byte(valid), "X-Hub-Signature-256", ""))
	f.do(t, request("POST", "/api/v1/webhooks/nobody", []byte(valid)))
	got := map[string]float64{}
	families, err := f.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			key := family.GetName()
			for _, l := range m.GetLabel() {
				key += " " + l.GetValue()
			}
			got[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for key, want := range map[string]float64{
		"twinreel_webhooks_total accepted default": 1, "twinreel_webhooks_total invalid_signature default": 1,
		"twinreel_webhooks_total unknown_source (unknown)": 1, "twinreel_webhook_duration_seconds default": 2,
		"twinreel_unsigned default": 0, "twinreel_unsigned emea": 1, "twinreel_last_webhook_timestamp_seconds emea": 0,
	} {
		if v, ok := got[key]; !ok || v != want {
			t.Errorf("%s: got %v, want %v (of %v)", key, v, want, got)
		}
	}
	if age := float64(time.Now().Unix()) - got["twinreel_last_webhook_timestamp_seconds default"]; age < -1 || age > 60 {
		t.Errorf("last webhook %v s ago", age)
	}
}

func TestABodyThatComesTooSlowlyIsCut(t *testing.T) {
	f := newFixture(t)
	f.bodyTimeout = 100 * time.Millisecond
	s := httptest.NewServer(f)
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "POST "+defaultPath+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	b, err := io.ReadAll(conn) // ends because the server hangs up
	if err != nil || !bytes.HasPrefix(b, []byte("HTTP/1.1 408 ")) || !bytes.Contains(b, []byte(`"code":"request_timeout"`)) {
		t.Errorf("got %v %s", err, b)
	}
}

func TestALateAcknowledgementAfterASlowBodyIsNotSpoiledByTheBodysDeadline(t *testing.T) {
	f := newFixture(t)
	f.bodyTimeout, f.AckTimeout = 300*time.Millisecond, 20*time.Second
	f.published.answer = func(context.Context) (bool, error) { <-time.After(400 * time.Millisecond); return false, nil }
	s := httptest.NewServer(f)
	defer s.Close()
	for range 2 { // the second by the same connection
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+defaultPath, strings.NewReader(valid))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = request("POST", defaultPath, []byte(valid)).Header
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("got %d", resp.StatusCode)
		}
	}
}

func TestATooLargeBodyIsAnsweredAlsoWithoutAnAnnouncedLength(t *testing.T) {
	f := newFixture(t)
	s := httptest.NewServer(f)
	defer s.Close()
	for name, body := range map[string]io.Reader{
		"announced": bytes.NewReader(make([]byte, 3<<20)),
		"chunked":   io.MultiReader(bytes.NewReader(make([]byte, 3<<20))),
	} {
		resp, err := s.Client().Post(s.URL+defaultPath, "application/json", body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 413 {
			t.Errorf("%s: got %d", name, resp.StatusCode)
		}
	}
}
