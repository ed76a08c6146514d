package objective

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

// account is this package's JetStream world.
const account = "test34"

// world is JetStream with all streams.
type world struct {
	t         *testing.T
	js        jetstream.JetStream
	publisher *queue.Publisher
}

func newWorld(t *testing.T) *world {
	t.Helper()
	nc, js := testenv.Account(t, account)
	sizes := queue.Sizes{Recordings: 16 << 20, Letters: 4 << 20, Audit: 16 << 20, MaxAge: time.Hour}
	if _, err := queue.Provision(t.Context(), js, sizes, 1); err != nil {
		t.Fatal(err)
	}
	return &world{t, js, queue.NewPublisher(nc, js)}
}

func (w *world) acknowledge(id string) {
	w.t.Helper()
	e := event.New(event.Data{RecordingID: id, Source: "default", Media: event.Media{URL: "https://cdn.example.com/a", Format: "wav"}}, "e", time.Now())
	if _, err := w.publisher.Completed(w.t.Context(), queue.Both, e, ""); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) audit(kind event.AuditKind, of tier.Tier, id string) {
	w.t.Helper()
	err := w.publisher.Audit(w.t.Context(), event.Audit{Kind: kind, Tier: of.String(), Time: time.Now(), Data: event.AuditData{Tier: of.String(), IdempotencyKey: id}})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestBothStreamsAreReadToTheirEndsAndHeldAgainstEachOther(t *testing.T) {
	w := newWorld(t)
	if r, err := New(w.js, zap.NewNop(), time.Hour).Once(t.Context()); err != nil || !r.Whole || r.Waiting != 0 || len(r.Streams) != 3 {
		t.Fatalf("of empty streams: %+v, %v", r, err)
	}
	const n = 300
	for i := range n {
		id := fmt.Sprint("rec-", i)
		w.acknowledge(id)
		w.audit(event.AuditStored, tier.Primary, id)
		if i%3 != 0 {
			w.audit(event.AuditAlreadyPresent, tier.Backup, id)
		}
		w.audit(event.AuditConfirmed, tier.Backup, id) // another kind: no copy that was just made
	}
	f := New(w.js, zap.NewNop(), time.Hour)
	r, err := f.Once(t.Context())
	if err != nil || !r.Whole || r.Waiting != n || len(r.Days) != 0 {
		t.Fatalf("got %+v, %v", r, err)
	}
	f.tally.Judge(time.Now().Add(Limit)) // as if a quarter of an hour had gone by
	r, _ = f.Report()
	recordings, missed := 0, 0
	for _, d := range r.Days { // midnight may lie in between
		recordings, missed = recordings+d.Recordings, missed+d.Missed
	}
	if recordings != n || missed != n/3 || len(r.Missed) != n/3 || r.Missed[0].Reason != "backup: no copy" {
		t.Errorf("got %d of %d: %+v", missed, recordings, r.Missed[0])
	}
}

// Where AUDIT has given up its oldest events, nothing is said of that time.
func TestNothingIsSaidOfATimeThatAuditForgot(t *testing.T) {
	w := newWorld(t)
	w.acknowledge("forgotten")
	w.audit(event.AuditStored, tier.Primary, "forgotten")
	w.audit(event.AuditStored, tier.Primary, "marks the beginning")
	w.acknowledge("known")
	s, err := w.js.Stream(t.Context(), queue.Audit)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context(), jetstream.WithPurgeKeep(1)); err != nil {
		t.Fatal(err)
	}
	r, err := New(w.js, zap.NewNop(), time.Hour).Once(t.Context())
	if err != nil || r.Waiting != 1 {
		t.Errorf("got %+v, %v, want the one that came later", r, err)
	}
}

func TestTheLeaderFollowsWhatComesAndTellsItAsMetrics(t *testing.T) {
	w := newWorld(t)
	registry := prometheus.NewPedanticRegistry()
	var latest Latest
	Register(registry, latest.Report)
	if n, err := testutil.GatherAndCount(registry); n != 0 || err != nil {
		t.Errorf("%d metrics before it measures, %v", n, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	f := New(w.js, zap.NewNop(), All)
	go func() {
		defer close(ended)
		latest.Run(ctx, f)
	}()
	w.acknowledge("rec")
	until(t, "the recording waits for its judgement", func() bool {
		r, ok := latest.Report()
		return ok && r.Whole && r.Waiting == 1 && len(r.Streams) == 3
	})
	w.audit(event.AuditStored, tier.Primary, "rec")
	w.audit(event.AuditStored, tier.Backup, "rec")
	until(t, "both copies are known", func() bool {
		f.tally.mu.Lock()
		defer f.tally.mu.Unlock()
		o := f.tally.open["rec"]
		return o != nil && o.inTime(o.acked)
	})
	f.tally.Judge(time.Now().Add(Limit))
	for _, name := range []string{"twinreel_redundancy_objective_ratio", "twinreel_redundancy_missed"} {
		if n, err := testutil.GatherAndCount(registry, name); n != 2 || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	if n, err := testutil.GatherAndCount(registry, "twinreel_stream_days_to_full", "twinreel_redundancy_waiting"); n != 4 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	stop()
	<-ended
	if n, err := testutil.GatherAndCount(registry); n != 0 || err != nil {
		t.Errorf("%d metrics after it led, %v", n, err)
	}
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("after 20 s still not: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestHowSoonAStreamIsFull(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		bytes, msgs, received uint64
		limit                 int64
		age, span             time.Duration
		perDay                float64
		days                  float64 // < 0: never
	}{
		"in two days":                {1000, 10, 10, 3000, 0, 24 * time.Hour, 1000, 2},
		"of late faster":             {1000, 10, 10, 3000, 0, 6 * time.Hour, 4000, 0.5},
		"full":                       {3000, 10, 10, 3000, 0, 24 * time.Hour, 3000, 0},
		"nothing comes":              {1000, 10, 0, 3000, 0, 24 * time.Hour, 0, -1},
		"empty":                      {0, 0, 0, 3000, 0, 24 * time.Hour, 0, -1},
		"no bound":                   {1000, 10, 10, -1, 0, 24 * time.Hour, 1000, -1},
		"leaves by age before":       {1000, 10, 10, 3000, 48 * time.Hour, 24 * time.Hour, 1000, -1},
		"does not leave soon enough": {1000, 10, 10, 3000, 96 * time.Hour, 24 * time.Hour, 1000, 2},
	} {
		t.Run(name, func(t *testing.T) {
			info := &jetstream.StreamInfo{
				Config: jetstream.StreamConfig{MaxBytes: c.limit, MaxAge: c.age}, State: jetstream.StreamState{Bytes: c.bytes, Msgs: c.msgs},
			}
			f := fillOf(info, c.received, now.Add(-c.span), now)
			if f.BytesPerDay != c.perDay || (f.DaysToFull == nil) != (c.days < 0) || f.DaysToFull != nil && *f.DaysToFull != c.days {
				t.Errorf("got %+v", f)
			}
		})
	}
}

func TestTheFirstMessageSinceATimeIsFoundAmongGaps(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		w.audit(event.AuditStored, tier.Primary, fmt.Sprint(i))
	}
	s, err := w.js.Stream(t.Context(), queue.Audit)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context(), jetstream.WithPurgeSequence(6)); err != nil { // 1 to 5 are gone
		t.Fatal(err)
	}
	if s, err = w.js.Stream(t.Context(), queue.Audit); err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(t.Context(), 11)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Time]uint64{m.Time: 11, m.Time.Add(-time.Hour): 6, time.Now().Add(time.Hour): 21} {
		if got, err := firstSince(t.Context(), s, at); err != nil || got != want {
			t.Errorf("%v: got %d, %v, want %d", at, got, err, want)
		}
	}
}
