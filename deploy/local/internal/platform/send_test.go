package platform_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// ingress is a small one that answers by the contract.
type ingress struct {
	*httptest.Server
	refuse atomic.Int64 // so many more requests are answered 503

	mu          sync.Mutex
	seen        map[string]int // bodies
	paths       map[string]int
	now, atOnce int
}

func startIngress(t testing.TB) *ingress {
	t.Helper()
	in := &ingress{seen: map[string]int{}, paths: map[string]int{}}
	in.Server = httptest.NewServer(in)
	t.Cleanup(in.Close)
	return in
}

func (in *ingress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	in.enter(r.URL.Path)
	defer in.leave()
	status, code, id := in.judge(r, body)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"code": code, "recordingId": id, "idempotencyKey": id})
}

func (in *ingress) judge(r *http.Request, body []byte) (status int, code, id string) {
	var e struct{ Event, RecordingID string }
	switch {
	case r.Header.Get("X-Hub-Signature-256") != hubSignature(secret, body):
		return 401, "invalid_signature", ""
	case in.refuse.Add(-1) >= 0:
		return 503, "unavailable", ""
	case json.Unmarshal(body, &e) != nil:
		return 400, "invalid_payload", ""
	case e.Event != "RECORDING_COMPLETED":
		return 200, "ignored", ""
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.seen[string(body)]++
	if in.seen[string(body)] > 1 {
		return 200, "duplicate", e.RecordingID
	}
	return 200, "accepted", e.RecordingID
}

func (in *ingress) enter(path string) {
	in.mu.Lock()
	in.now++
	in.atOnce = max(in.atOnce, in.now)
	in.paths[path]++
	in.mu.Unlock()
	runtime.Gosched()
}

func (in *ingress) leave() {
	in.mu.Lock()
	in.now--
	in.mu.Unlock()
}

// fast is a platform that sends to in and does not wait long.
func fast(t testing.TB, in *ingress) *platform.Platform {
	t.Helper()
	return start(t, platform.Config{IngressURL: in.URL, RetryDelay: time.Millisecond})
}

func TestSendIsAcknowledgedOnceAndThenADuplicate(t *testing.T) {
	in := startIngress(t)
	p := fast(t, in)
	rec := add(t, p, platform.Spec{ID: "rec-1", Size: 1000})
	for _, want := range []string{"accepted", "duplicate"} {
		a, err := p.Send(t.Context(), rec)
		if err != nil || a.Code != want || a.IdempotencyKey != "rec-1" || a.Attempts != 1 || a.Latency <= 0 {
			t.Fatalf("answer %+v, error %v, want %s", a, err, want)
		}
	}
	if n := len(rec.Acknowledged()); n != 1 || rec.AcknowledgedAt().IsZero() {
		t.Fatalf("%d events acknowledged, the first at %v", n, rec.AcknowledgedAt())
	}
	if _, err := p.Send(t.Context(), rec, func(e *platform.Event) { e.EventID = "ev-2" }); err != nil {
		t.Fatal(err)
	}
	if got := rec.Acknowledged(); len(got) != 2 || got[1].EventID != "ev-2" {
		t.Fatalf("acknowledged %+v", got)
	}
	if in.paths["/api/v1/webhooks/recording-complete"] != 3 {
		t.Fatalf("paths %v", in.paths)
	}
}

func TestSendTriesAgainAndGivesUpAfterItsRetries(t *testing.T) {
	in := startIngress(t)
	p := fast(t, in)
	rec := add(t, p, platform.Spec{Size: 1000})
	in.refuse.Store(2)
	if a, err := p.Send(t.Context(), rec); err != nil || a.Attempts != 3 || a.Code != "accepted" {
		t.Fatalf("twice refused: answer %+v, error %v", a, err)
	}
	in.refuse.Store(100)
	a, err := p.Send(t.Context(), rec)
	if !errors.Is(err, platform.ErrRefused) || a.Attempts != 4 || a.Status != 503 || a.RetryAfter != 2*time.Second {
		t.Fatalf("always refused: answer %+v, error %v", a, err)
	}
}

func TestSendDoesNotTryAgainWhenItIsToldThatItIsWrong(t *testing.T) {
	in := startIngress(t)
	p := start(t, platform.Config{Secret: "another secret", IngressURL: in.URL})
	a, err := p.Send(t.Context(), add(t, p, platform.Spec{Size: 1000}))
	if !errors.Is(err, platform.ErrRefused) || a.Status != 401 || a.Code != "invalid_signature" || a.Attempts != 1 {
		t.Fatalf("answer %+v, error %v", a, err)
	}
}

func TestSendErrorShowsNoLinkAndNoSecret(t *testing.T) {
	in := startIngress(t)
	in.Close()
	p := fast(t, in)
	rec := add(t, p, platform.Spec{Size: 1000})
	_, err := p.Send(t.Context(), rec)
	if err == nil || errors.Is(err, platform.ErrRefused) {
		t.Fatalf("nobody listens: error %v", err)
	}
	if s := err.Error(); strings.Contains(s, "signature=") || strings.Contains(s, secret) {
		t.Fatal("the error shows a secret")
	}
}

func TestSendNeedsAnIngress(t *testing.T) {
	in := startIngress(t)
	p := start(t, platform.Config{Retries: -1})
	rec := add(t, p, platform.Spec{Size: 1000})
	if _, err := p.Send(t.Context(), rec); err == nil {
		t.Fatal("sent to nowhere")
	}
	p.SetIngressURL(in.URL + "/")
	if _, err := p.Send(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
}

func TestSendWaitsNoLongerThanItsContextOrThePlatform(t *testing.T) {
	in := startIngress(t)
	in.refuse.Store(100)
	for name, end := range map[string]func(*platform.Platform, context.CancelFunc){
		"context":  func(_ *platform.Platform, cancel context.CancelFunc) { cancel() },
		"platform": func(p *platform.Platform, _ context.CancelFunc) { _ = p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, platform.Config{IngressURL: in.URL, RetryDelay: time.Hour})
			rec := add(t, p, platform.Spec{Size: 1000})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			before := in.refuse.Load()
			done := make(chan error, 1)
			go func() { _, err := p.Send(ctx, rec); done <- err }()
			until(t, "the first attempt is answered", func() bool { return in.refuse.Load() < before })
			end(p, cancel)
			if err := <-done; err == nil {
				t.Fatal("sent")
			}
		})
	}
}

func TestBurstCountsWhatItSent(t *testing.T) {
	in := startIngress(t)
	p := fast(t, in)
	for range 200 {
		add(t, p, platform.Spec{Size: 1000})
	}
	var each atomic.Int64
	r, err := p.Burst(t.Context(), p.Truth(), platform.BurstOptions{
		InFlight: 16, DuplicateShare: 0.1, StartedShare: 0.25, Forged: 9, Each: func(*platform.Recording, platform.Answer) { each.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	got := []int{r.Sent, r.Accepted, r.Duplicate, r.Ignored, r.Refused, r.Failed, r.ForgedRefused, r.ForgedTaken, r.Retried, int(each.Load())}
	want := []int{279, 200, 20, 50, 9, 0, 9, 0, 0, 279}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("sent, accepted, duplicate, ignored, refused, failed, forged refused, taken, retried, each:\n%v, want\n%v", got, want)
	}
	if r.ByCode["accepted"] != 200 || r.ByCode["invalid_signature"] != 9 || r.P50 <= 0 || r.P99 < r.P50 {
		t.Errorf("codes %v, p50 %v, p99 %v", r.ByCode, r.P50, r.P99)
	}
	if in.atOnce > 16 || in.atOnce < 2 {
		t.Errorf("%d webhooks in flight, want up to 16", in.atOnce)
	}
	for _, rec := range p.Truth() {
		if rec.Expect() != platform.ExpectStored {
			t.Fatalf("recording %s is acknowledged, but expected %s", rec.ID, rec.Expect())
		}
	}
}

func TestBurstTriesAgainWhileIngressIsAway(t *testing.T) {
	in := startIngress(t)
	p := fast(t, in)
	for range 20 {
		add(t, p, platform.Spec{Size: 1000})
	}
	in.refuse.Store(30)
	r, err := p.Burst(t.Context(), p.Truth(), platform.BurstOptions{InFlight: 20})
	if err != nil || r.Retried == 0 || r.Accepted+r.Failed != 20 || r.Retried+r.Sent != 30+r.Accepted {
		t.Fatalf("report %+v, error %v", r, err)
	}
}

func TestBurstTellsWhenAForgeryIsTaken(t *testing.T) {
	gullible := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"code":"accepted"}`) }))
	defer gullible.Close()
	p := start(t, platform.Config{IngressURL: gullible.URL})
	add(t, p, platform.Spec{Size: 1000})
	if r, err := p.Burst(t.Context(), p.Truth(), platform.BurstOptions{Forged: 4}); err != nil || r.ForgedTaken != 4 || r.ForgedRefused != 0 {
		t.Fatalf("report %+v, error %v", r, err)
	}
}

func TestBurstStopsWithItsContext(t *testing.T) {
	in := startIngress(t)
	p := fast(t, in)
	for range 50 {
		add(t, p, platform.Spec{Size: 1000})
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := p.Burst(ctx, p.Truth(), platform.BurstOptions{Each: func(*platform.Recording, platform.Answer) { cancel() }})
	if !errors.Is(err, context.Canceled) || r.Accepted == 0 || r.Accepted > 2 {
		t.Fatalf("report %+v, error %v", r, err)
	}
}

func TestExpectFollowsFromAnswersAndFaults(t *testing.T) {
	type spec = platform.Spec
	type faults = platform.Faults
	in := startIngress(t)
	p := fast(t, in)
	for name, c := range map[string]struct {
		spec spec
		want platform.Expect
	}{
		"sound":                       {spec{}, platform.ExpectStored},
		"slow":                        {spec{Faults: faults{BytesPerSecond: 1 << 20}}, platform.ExpectStored},
		"a bad minute":                {spec{Faults: faults{Status: 500, Times: 3}}, platform.ExpectStored},
		"gone":                        {spec{Faults: faults{Status: 404}}, platform.ExpectAbsent},
		"link never valid":            {spec{LinkTTL: -time.Second}, platform.ExpectAbsent},
		"dies after a use":            {spec{Faults: faults{Status: 410, After: 1}}, platform.ExpectEither},
		"web page":                    {spec{Faults: faults{HTML: true}}, platform.ExpectAbsent},
		"truncated":                   {spec{Faults: faults{End: platform.Truncated, EndAt: 10}}, platform.ExpectAbsent},
		"cut behind the end":          {spec{Faults: faults{End: platform.Reset, EndAt: 1000}}, platform.ExpectStored},
		"length unknown":              {spec{Faults: faults{Chunked: true}}, platform.ExpectAbsent},
		"length known from the event": {spec{SendSize: true, Faults: faults{Chunked: true}}, platform.ExpectStored},
		"twice as long as promised":   {spec{Faults: faults{PromisedSize: 500}}, platform.ExpectAbsent},
		"three hops":                  {spec{Faults: faults{Redirects: 3}}, platform.ExpectStored},
		"four hops":                   {spec{Faults: faults{Redirects: 4}}, platform.ExpectAbsent},
		"re-encoded in between":       {spec{Faults: faults{Reencoded: true, After: 1, PerFetch: true}}, platform.ExpectEither},
		"told so":                     {spec{Expect: platform.ExpectEither}, platform.ExpectEither},
	} {
		c.spec.Size = 1000
		rec := add(t, p, c.spec)
		if got := rec.Expect(); got != cmp.Or(c.spec.Expect, platform.ExpectAbsent) {
			t.Errorf("%s: before its webhook %s is expected", name, got)
		}
		if _, err := p.Send(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		if got := rec.Expect(); got != c.want {
			t.Errorf("%s: %s is expected, want %s", name, got, c.want)
		}
		rec.SetExpect(platform.ExpectAbsent)
		if got := rec.Expect(); got != platform.ExpectAbsent {
			t.Errorf("%s: %s is expected though it was set", name, got)
		}
	}
}

func TestExpectIsOpenWhenNoAnswerSaysWhatBecameOfAWebhook(t *testing.T) {
	in := startIngress(t)
	p, later := fast(t, in), fast(t, in)
	refused, unheard := add(t, p, platform.Spec{Size: 1000}), add(t, later, platform.Spec{Size: 1000})
	in.refuse.Store(4)
	if _, err := p.Send(t.Context(), refused); err == nil || refused.Expect() != platform.ExpectEither {
		t.Errorf("503 throughout: error %v, %s is expected", err, refused.Expect())
	}
	in.Close()
	if _, err := later.Send(t.Context(), unheard); err == nil || unheard.Expect() != platform.ExpectAbsent {
		t.Errorf("nobody listened: error %v, %s is expected", err, unheard.Expect())
	}
}

func TestCloseLeavesNoGoroutineBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	in := startIngress(t)
	p, err := platform.New(platform.Config{Secret: secret, IngressURL: in.URL})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		fetch(t, add(t, p, platform.Spec{Size: 1000}).MediaURL())
	}
	if _, err := p.Burst(t.Context(), p.Truth(), platform.BurstOptions{InFlight: 5}); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	until(t, "as many goroutines as before", func() bool { return runtime.NumGoroutine() <= before })
}
