package inventory

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

// account is this package's JetStream world.
const account = "test37"

// world is a provisioned JetStream.
type world struct {
	t  *testing.T
	js jetstream.JetStream
}

func newWorld(t *testing.T) *world {
	t.Helper()
	_, js := testenv.Account(t, account)
	if _, err := ReadFloors(t.Context(), js); !errors.Is(err, queue.ErrNotProvisioned) {
		t.Fatalf("without a stream: %v", err)
	}
	if _, err := queue.Provision(t.Context(), js, queue.Sizes{Recordings: 16 << 20, Letters: 16 << 20, Audit: 16 << 20, MaxAge: time.Hour}, 1); err != nil {
		t.Fatal(err)
	}
	return &world{t, js}
}

// publish stores an event and returns its sequence.
func (w *world) publish(subject string) uint64 {
	w.t.Helper()
	ack, err := w.js.Publish(w.t.Context(), subject, []byte("{}"))
	if err != nil {
		w.t.Fatal(err)
	}
	return ack.Sequence
}

// take has a tier's consumer hand out n events.
func (w *world) take(t tier.Tier, lane queue.Lane, n int) (out []jetstream.Msg) {
	w.t.Helper()
	c, err := w.js.Consumer(w.t.Context(), queue.Recordings, queue.ConsumerName(t, lane))
	if err != nil {
		w.t.Fatal(err)
	}
	for range n {
		m, err := c.Next(jetstream.FetchMaxWait(10 * time.Second))
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

func (w *world) finish(msgs ...jetstream.Msg) {
	w.t.Helper()
	for _, m := range msgs {
		if err := m.DoubleAck(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) floors() Floors {
	w.t.Helper()
	f, err := ReadFloors(w.t.Context(), w.js)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// want checks what floors say of an event that was stored that long ago.
func want(t *testing.T, f Floors, of tier.Tier, subject string, seq uint64, age time.Duration, unfinished, open bool) {
	t.Helper()
	if got := f.Unfinished(of, subject, seq); got != unfinished {
		t.Errorf("%s: %s %d unfinished: %v", of, subject, seq, got)
	}
	if got := f.Open(of, subject, seq, age); got != open {
		t.Errorf("%s: %s %d, %s old, open: %v", of, subject, seq, age, got)
	}
}

func TestAnEventIsOpenUntilItWasHandedOutAndThenForAnHour(t *testing.T) {
	w := newWorld(t)
	both := queue.CompletedSubject(queue.Both)
	first, second, third := w.publish(both), w.publish(both), w.publish(both)
	msgs := w.take(tier.Primary, queue.Live, 2)
	w.finish(msgs[0])
	f := w.floors()
	want(t, f, tier.Primary, both, first, time.Minute, false, false)
	want(t, f, tier.Primary, both, second, time.Minute, true, true)
	want(t, f, tier.Primary, both, second, 2*time.Hour, true, false)
	want(t, f, tier.Primary, both, third, 2*time.Hour, true, true) // never handed out
	want(t, f, tier.Backup, both, first, 2*time.Hour, true, true)
	if got := f.Lowest(third); got != 0 {
		t.Errorf("lowest %d: backup has taken nothing", got)
	}

	w.finish(w.take(tier.Backup, queue.Live, 3)...)
	if got := w.floors().Lowest(third); got != first {
		t.Errorf("lowest %d, want %d", got, first)
	}
	w.finish(msgs[1])
	w.finish(w.take(tier.Primary, queue.Live, 1)...)
	f = w.floors()
	want(t, f, tier.Primary, both, third, time.Minute, false, false)
	if got := f.Lowest(third); got != third {
		t.Errorf("lowest %d, want %d", got, third)
	}
}

// given consumers that have nothing left, when an event comes after they were asked, then it is open, and nobody who reads the
// stream afterwards takes it for finished.
func TestWhatCameAfterTheFloorsWereReadIsOpen(t *testing.T) {
	w := newWorld(t)
	both := queue.CompletedSubject(queue.Both)
	fresh := w.floors() // of an empty stream
	first := w.publish(both)
	for _, of := range tier.All() {
		want(t, fresh, of, both, first, 2*time.Hour, true, true)
		w.finish(w.take(of, queue.Live, 1)...)
	}
	f := w.floors()
	later := w.publish(both)
	for _, of := range tier.All() {
		want(t, f, of, both, first, time.Minute, false, false)
		want(t, f, of, both, later, 2*time.Hour, true, true)
	}
	if got := f.Lowest(later); got != first {
		t.Errorf("lowest %d, want %d", got, first)
	}
	if f.Lowest(0) != 0 || (Floors{}).Lowest(7) != 0 {
		t.Error("more than was read is finished")
	}
}

func TestEachSubjectIsLookedForAtTheConsumerThatTakesIt(t *testing.T) {
	w := newWorld(t)
	const old = 2 * time.Hour
	live, backfill := queue.CompletedSubject(queue.Primary), queue.CompletedSubject(queue.Backup)
	redrive := queue.RedriveSubject(tier.Primary)
	a, b, c := w.publish(live), w.publish(backfill), w.publish(redrive)

	w.finish(w.take(tier.Primary, queue.Live, 2)...)
	f := w.floors()
	want(t, f, tier.Primary, live, a, old, false, false)
	want(t, f, tier.Primary, redrive, c, old, false, false)
	want(t, f, tier.Primary, backfill, b, old, true, true)
	want(t, f, tier.Backup, live, a, old, true, true) // as backfill
	want(t, f, tier.Backup, backfill, b, old, true, true)
	want(t, f, tier.Backup, redrive, c, old, false, false) // none of its business
	want(t, f, tier.Backup, "recordings.unheard.of", c, old, false, false)

	w.finish(w.take(tier.Primary, queue.Backfill, 1)...)
	w.finish(w.take(tier.Backup, queue.Live, 1)...)
	f = w.floors()
	want(t, f, tier.Primary, backfill, b, old, false, false)
	want(t, f, tier.Backup, backfill, b, old, false, false)
	want(t, f, tier.Backup, live, a, old, true, true)
}

// given an event that was handed back, when the floors are read, then it is in hand, not finished.
func TestAnEventThatWasHandedBackIsUnfinished(t *testing.T) {
	w := newWorld(t)
	both := queue.CompletedSubject(queue.Both)
	seq := w.publish(both)
	if err := w.take(tier.Primary, queue.Live, 1)[0].NakWithDelay(time.Hour); err != nil {
		t.Fatal(err)
	}
	f := w.floors()
	want(t, f, tier.Primary, both, seq, time.Minute, true, true)
	want(t, f, tier.Primary, both, seq, 2*time.Hour, true, false)
}
