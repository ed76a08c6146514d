package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap/zaptest"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// running is a consumer at work.
type running struct {
	stop, abandon context.CancelFunc
	ended         chan struct{}
}

func run(t *testing.T, c *queue.Consumer, h queue.Handler) running {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	drain, abandon := context.WithCancel(context.WithoutCancel(t.Context()))
	r := running{stop: stop, abandon: abandon, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		c.Run(ctx, drain, h)
	}()
	t.Cleanup(func() { stop(); abandon(); <-r.ended })
	return r
}

func live(t *testing.T, js jetstream.JetStream, slots int) *queue.Consumer {
	return &queue.Consumer{JS: js, Tier: tier.Primary, Slots: slots, Log: zaptest.NewLogger(t)}
}

func publish(t *testing.T, p *queue.Publisher, n int) {
	t.Helper()
	for i := range n {
		if _, err := p.Completed(t.Context(), queue.Both, recording(fmt.Sprintf("rec-%d", i), "e"), ""); err != nil {
			t.Fatal(err)
		}
	}
}

func state(t *testing.T, js jetstream.JetStream) *jetstream.ConsumerInfo {
	t.Helper()
	c, err := js.Consumer(t.Context(), queue.Recordings, "primary")
	if err != nil {
		t.Fatal(err)
	}
	return c.CachedInfo()
}

func TestNilAcknowledges(t *testing.T) {
	js, p := provisioned(t, "test03")
	publish(t, p, 20)
	var handled atomic.Int32
	run(t, live(t, js, 4), func(_ context.Context, d queue.Delivery) error {
		if d.Stream != queue.Recordings || d.Subject != "recordings.completed.both" || d.Sequence == 0 || d.Count != 1 || d.Stored.IsZero() {
			t.Errorf("delivery %+v", d)
		}
		handled.Add(1)
		return nil
	})
	until(t, "all acknowledged", func() bool { i := state(t, js); return i.NumPending == 0 && i.NumAckPending == 0 })
	if handled.Load() != 20 {
		t.Errorf("handled %d times", handled.Load())
	}
}

func TestLaterComesAgainAfterItsWait(t *testing.T) {
	js, p := provisioned(t, "test03")
	publish(t, p, 1)
	var mu sync.Mutex
	var times []time.Time
	const wait = 300 * time.Millisecond
	run(t, live(t, js, 4), func(_ context.Context, d queue.Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		times = append(times, time.Now())
		if d.Count != len(times) {
			t.Errorf("delivery %d says %d", len(times), d.Count)
		}
		if len(times) < 3 {
			return fmt.Errorf("copy: %w", &queue.Later{After: wait, Err: errors.New("busy")})
		}
		return nil
	})
	until(t, "acknowledged", func() bool { return state(t, js).NumAckPending == 0 && state(t, js).AckFloor.Stream == 1 })
	mu.Lock()
	defer mu.Unlock()
	for i := 1; i < len(times); i++ {
		if times[i].Sub(times[i-1]) < wait {
			t.Errorf("came again after %s", times[i].Sub(times[i-1]))
		}
	}
}

func TestNoMoreIsPulledThanThereAreSlots(t *testing.T) {
	js, p := provisioned(t, "test03")
	publish(t, p, 30)
	release := make(chan struct{})
	var inHand, most atomic.Int32
	run(t, live(t, js, 3), func(context.Context, queue.Delivery) error {
		n := inHand.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-release
		inHand.Add(-1)
		return nil
	})
	until(t, "three in hand", func() bool { return inHand.Load() == 3 })
	if got := state(t, js).NumAckPending; got != 3 {
		t.Errorf("%d delivered and not acknowledged", got)
	}
	close(release)
	until(t, "all done", func() bool { i := state(t, js); return i.NumPending == 0 && i.NumAckPending == 0 })
	if most.Load() > 3 {
		t.Errorf("%d at once", most.Load())
	}
}

func TestAClosedGatePullsNothing(t *testing.T) {
	js, p := provisioned(t, "test03")
	c := live(t, js, 3)
	var open atomic.Int32
	looked := make(chan struct{}, 100)
	c.Open = func() queue.Allowance {
		select {
		case looked <- struct{}{}:
		default:
		}
		return queue.Allow(int(open.Load()))
	}
	run(t, c, func(context.Context, queue.Delivery) error { return nil })
	publish(t, p, 2)
	<-looked
	<-looked
	if i := state(t, js); i.NumPending != 2 || i.Delivered.Consumer != 0 {
		t.Errorf("pulled while closed: %+v", i)
	}
	open.Store(1)
	until(t, "pulled once open", func() bool { i := state(t, js); return i.NumPending == 0 && i.NumAckPending == 0 })
}

func TestStoppingFinishesWhatIsInHandAndBeginsNothing(t *testing.T) {
	js, p := provisioned(t, "test04")
	publish(t, p, 1)
	begun, finish := make(chan struct{}, 10), make(chan struct{})
	r := run(t, live(t, js, 2), func(ctx context.Context, _ queue.Delivery) error {
		begun <- struct{}{}
		<-finish
		return ctx.Err()
	})
	<-begun
	r.stop()
	publishMore(t, p, "rec-late")
	close(finish)
	<-r.ended
	if i := state(t, js); i.AckFloor.Stream != 1 {
		t.Errorf("what was in hand is not acknowledged: %+v", i)
	}
	if len(begun) > 0 {
		t.Error("the late one was begun")
	}
	got := make(chan uint64, 10)
	run(t, live(t, js, 2), func(_ context.Context, d queue.Delivery) error { got <- d.Sequence; return nil })
	select {
	case seq := <-got:
		if seq != 2 {
			t.Errorf("message %d came again", seq)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the late one is lost until its ack wait is over")
	}
}

func publishMore(t *testing.T, p *queue.Publisher, id string) {
	t.Helper()
	if _, err := p.Completed(t.Context(), queue.Both, recording(id, "e"), ""); err != nil {
		t.Fatal(err)
	}
}

func TestWhenTheDrainTimeIsOverTheRestIsHandedBackAtOnce(t *testing.T) {
	js, p := provisioned(t, "test04")
	publish(t, p, 1)
	begun := make(chan struct{})
	r := run(t, live(t, js, 2), func(ctx context.Context, _ queue.Delivery) error {
		close(begun)
		<-ctx.Done()
		return &queue.Later{After: time.Hour, Err: ctx.Err()}
	})
	<-begun
	r.stop()
	r.abandon()
	<-r.ended
	again := make(chan int, 1)
	run(t, live(t, js, 2), func(_ context.Context, d queue.Delivery) error {
		again <- d.Count
		return nil
	})
	select {
	case n := <-again:
		if n < 2 {
			t.Errorf("delivery %d", n)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("not delivered again")
	}
}

func TestAConsumerThatIsMadeAnewIsFoundAgain(t *testing.T) {
	js, p := provisioned(t, "test04")
	var handled atomic.Int32
	run(t, live(t, js, 2), func(context.Context, queue.Delivery) error { handled.Add(1); return nil })
	publish(t, p, 1)
	until(t, "the first", func() bool { return handled.Load() == 1 })
	if err := js.DeleteConsumer(t.Context(), queue.Recordings, "primary"); err != nil {
		t.Fatal(err)
	}
	if _, err := queue.Provision(t.Context(), js, small(), 1); err != nil {
		t.Fatal(err)
	}
	until(t, "delivered by the new one", func() bool { return handled.Load() >= 2 })
}

func TestTheWaitDoublesUpToItsCap(t *testing.T) {
	s := queue.Schedule{Base: 5 * time.Second, Cap: 5 * time.Minute}
	for n, want := range map[int]time.Duration{1: 5 * time.Second, 2: 10 * time.Second, 5: 80 * time.Second, 7: 5 * time.Minute, 1000: 5 * time.Minute} {
		for range 50 {
			d := s.Delay(n)
			if d < want*8/10 || d > want*12/10 {
				t.Fatalf("failure %d waits %s, want %s ± 20 %%", n, d, want)
			}
		}
	}
}
