package pending

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

// account is this package's JetStream world.
const account = "test25"

// bed is a provisioned JetStream.
type bed struct {
	t  *testing.T
	js jetstream.JetStream
	p  *queue.Publisher
}

func newBed(t *testing.T) *bed {
	t.Helper()
	nc, js := testenv.Account(t, account)
	sizes := queue.Sizes{Recordings: 16 << 20, Letters: 16 << 20, Audit: 16 << 20, MaxAge: time.Hour}
	if _, err := queue.Provision(t.Context(), js, sizes, 1); err != nil {
		t.Fatal(err)
	}
	return &bed{t, js, queue.NewPublisher(nc, js)}
}

// accept publishes an event as ingress does.
func (b *bed) accept(id string) {
	b.t.Helper()
	e := event.New(event.Data{RecordingID: id, Source: event.DefaultSource, Media: event.Media{URL: "https://cdn.example.com/a", Format: "wav"}}, "e", time.Now())
	if _, err := b.p.Completed(b.t.Context(), queue.Both, e, ""); err != nil {
		b.t.Fatal(err)
	}
}

// finish acknowledges n events in both tiers.
func (b *bed) finish(n int) {
	b.t.Helper()
	for _, t := range tier.All() {
		c, err := b.js.Consumer(b.t.Context(), queue.Recordings, queue.ConsumerName(t, queue.Live))
		if err != nil {
			b.t.Fatal(err)
		}
		batch, err := c.Fetch(n, jetstream.FetchMaxWait(10*time.Second))
		if err != nil {
			b.t.Fatal(err)
		}
		for m := range batch.Messages() {
			if err := m.DoubleAck(b.t.Context()); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

// index runs an index that keeps at most so many events.
func (b *bed) index(most int) *Index {
	x := New(b.js, zap.NewNop())
	x.most = most
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); x.Run(ctx) }()
	b.t.Cleanup(func() { cancel(); <-ended })
	return x
}

func (b *bed) find(x *Index, key string) (uint64, error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	m, err := x.Find(ctx, key)
	return m.Sequence, err
}

func (b *bed) wants(x *Index, key string, want uint64) {
	b.t.Helper()
	got, err := b.find(x, key)
	if got != want || (want == 0) != errors.Is(err, ErrUnknown) {
		b.t.Errorf("%s: got %d, %v; want %d", key, got, err, want)
	}
}

func TestWhatIsAcceptedIsFoundAtOnce(t *testing.T) {
	b := newBed(t)
	b.accept("rec-0")
	x := b.index(Most)
	b.wants(x, "rec-0", 1)
	for i := 1; i <= 50; i++ { // each the very moment after its acknowledgement
		b.accept(fmt.Sprint("rec-", i))
		b.wants(x, fmt.Sprint("rec-", i), uint64(i+1))
	}
	b.wants(x, "rec-51", 0)
	b.wants(x, "emea/rec-1", 0)
}

func TestWhatIsFinishedIsForgotten(t *testing.T) {
	b := newBed(t)
	for i := range 4 {
		b.accept(fmt.Sprint("rec-", i))
	}
	x := b.index(Most)
	b.wants(x, "rec-3", 4)
	b.finish(3)
	floor, err := x.readFloor(t.Context())
	if err != nil || floor != 3 {
		t.Fatalf("floor %d, %v", floor, err)
	}
	x.forget(floor)
	b.wants(x, "rec-2", 0)
	b.wants(x, "rec-3", 4)
	if len(x.newest) != 1 || len(x.order) != 1 {
		t.Errorf("it keeps %d and %d", len(x.newest), len(x.order))
	}
}

func TestWhatOneTierHasNotFinishedIsKept(t *testing.T) {
	b := newBed(t)
	b.accept("rec-0")
	c, err := b.js.Consumer(t.Context(), queue.Recordings, "primary")
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Next(jetstream.FetchMaxWait(10 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wants(b.index(Most), "rec-0", 1)
}

func TestBeyondWhatIsKeptTheStreamIsSearched(t *testing.T) {
	b := newBed(t)
	for i := range 10 {
		b.accept(fmt.Sprint("rec-", i))
	}
	x := b.index(3)
	for i := range 12 {
		want := uint64(i + 1)
		if i >= 10 {
			want = 0
		}
		b.wants(x, fmt.Sprint("rec-", i), want)
	}
	b.accept("rec-10") // pushes another out
	b.wants(x, "rec-10", 11)
	b.wants(x, "rec-7", 8)
	if len(x.newest) > 3 || len(x.order) > 3 {
		t.Errorf("it keeps %d and %d", len(x.newest), len(x.order))
	}
}

func TestTheNewestEventOfARecordingIsFound(t *testing.T) {
	b := newBed(t)
	x := b.index(2)
	b.accept("rec-0")
	e := event.New(event.Data{RecordingID: "rec-0", Source: event.DefaultSource, Media: event.Media{URL: "https://cdn.example.com/b", Format: "wav"}}, "other", time.Now())
	if _, err := b.p.Completed(t.Context(), queue.Both, e, ""); err != nil {
		t.Fatal(err)
	}
	b.wants(x, "rec-1", 0)
	b.wants(x, "rec-0", 2)
	b.accept("rec-2") // the first event of rec-0 is pushed out; its newest stays
	b.wants(x, "rec-2", 3)
	b.wants(x, "rec-0", 2)
}

func TestAnIndexThatIsNotWholeKnowsNothing(t *testing.T) {
	b := newBed(t)
	x := New(b.js, zap.NewNop()) // it does not run
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := x.Find(ctx, "rec-0"); err == nil || errors.Is(err, ErrUnknown) {
		t.Errorf("got %v: what could not be asked is not unknown", err)
	}
}
