package queue_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/twinreel/twinreel/pkg/queue"
)

// blocked handles messages until it is told to let them go, and counts those in hand by lane.
type blocked struct {
	live, backfill atomic.Int32
	release        chan struct{}
}

func (b *blocked) handle(ctx context.Context, d queue.Delivery) error {
	n := &b.live
	if d.Lane == queue.Backfill {
		n = &b.backfill
	}
	n.Add(1)
	defer n.Add(-1)
	select {
	case <-b.release:
	case <-ctx.Done():
	}
	return ctx.Err()
}

func route(t *testing.T, p *queue.Publisher, r queue.Route, n int) {
	t.Helper()
	for i := range n {
		if _, err := p.Completed(t.Context(), r, recording(fmt.Sprintf("%s-%d", r, i), "e"), ""); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnIdleLaneHoldsNoSlots(t *testing.T) {
	for _, c := range []struct {
		route          queue.Route
		live, backfill int32
	}{{queue.Both, 20, 0}, {queue.Backup, 0, 20}} {
		t.Run(string(c.route), func(t *testing.T) {
			js, p := provisioned(t, "test05")
			b := &blocked{release: make(chan struct{})}
			run(t, live(t, js, 20), b.handle)
			route(t, p, c.route, 25)
			until(t, "all slots are in use", func() bool { return b.live.Load() == c.live && b.backfill.Load() == c.backfill })
			close(b.release)
		})
	}
}

func TestABusyLiveLaneLeavesBackfillItsShareAndNoMore(t *testing.T) {
	js, p := provisioned(t, "test05")
	route(t, p, queue.Both, 60)
	route(t, p, queue.Backup, 60)
	b := &blocked{release: make(chan struct{})}
	run(t, live(t, js, 20), b.handle)
	until(t, "backfill has a tenth", func() bool { return b.backfill.Load() == 2 && b.live.Load() == 18 })
	var most atomic.Int32
	for range 40 { // one live message after the other makes room; backfill, which waits, must not take it
		b.release <- struct{}{}
		until(t, "all slots are in use again", func() bool { return b.live.Load()+b.backfill.Load() == 20 })
		most.Store(max(most.Load(), b.backfill.Load()))
	}
	if most.Load() > 2 {
		t.Errorf("backfill had %d of 20 slots beside a busy live lane", most.Load())
	}
	close(b.release)
	until(t, "both lanes are drained", func() bool { i := state(t, js); return i.NumPending == 0 && i.NumAckPending == 0 })
}

func TestADegradedTierHasOneInHand(t *testing.T) {
	js, p := provisioned(t, "test05")
	route(t, p, queue.Both, 5)
	route(t, p, queue.Backup, 5)
	c := live(t, js, 8)
	c.Open = func() queue.Allowance { return queue.Allowance{Slots: 1, Backfill: 1} }
	var inHand, most, handled atomic.Int32
	run(t, c, func(context.Context, queue.Delivery) error {
		most.Store(max(most.Load(), inHand.Add(1)))
		handled.Add(1)
		inHand.Add(-1)
		return nil
	})
	until(t, "all ten are handled", func() bool { return handled.Load() == 10 })
	if most.Load() != 1 {
		t.Errorf("%d at once", most.Load())
	}
}

func TestBackfillHasNoMoreThanItIsAllowedBesideAnIdleLiveLane(t *testing.T) {
	js, p := provisioned(t, "test05")
	c := live(t, js, 20)
	c.Open = func() queue.Allowance { return queue.Allowance{Slots: 20, Backfill: 2, Beside: 2} }
	b := &blocked{release: make(chan struct{})}
	run(t, c, b.handle)
	route(t, p, queue.Backup, 25)
	until(t, "two are in hand", func() bool { return b.backfill.Load() == 2 })
	for range 20 {
		b.release <- struct{}{}
		until(t, "two are in hand again", func() bool { return b.backfill.Load() == 2 })
	}
	close(b.release)
}

func TestOffPeakBothLanesHaveHalfTheSlotsAndWhatTheOtherLeavesOver(t *testing.T) {
	js, p := provisioned(t, "test05")
	route(t, p, queue.Both, 60)
	route(t, p, queue.Backup, 90)
	c := live(t, js, 10)
	c.Open = func() queue.Allowance { return queue.Allowance{Slots: 10, Backfill: 10, Beside: 5} }
	b := &blocked{release: make(chan struct{})}
	run(t, c, b.handle)
	for range 80 { // one is finished after the other
		until(t, "half are backfill's", func() bool { return b.live.Load() == 5 && b.backfill.Load() == 5 })
		b.release <- struct{}{}
	}
	until(t, "live has no more, and all are backfill's", func() bool {
		if b.backfill.Load() == 10 {
			return true
		}
		select {
		case b.release <- struct{}{}:
		default:
		}
		return false
	})
	close(b.release)
}

func TestAGateThatClosesWhileNoSlotIsFreeIsSeen(t *testing.T) {
	js, p := provisioned(t, "test05")
	route(t, p, queue.Both, 10)
	c := live(t, js, 2)
	var shut atomic.Bool
	c.Open = func() queue.Allowance {
		if shut.Load() {
			return queue.Allowance{}
		}
		return queue.Allow(2)
	}
	b := &blocked{release: make(chan struct{})}
	run(t, c, b.handle)
	until(t, "both slots are in use", func() bool { return b.live.Load() == 2 })
	shut.Store(true)
	b.release <- struct{}{}
	until(t, "one is done", func() bool { i := state(t, js); return i.AckFloor.Stream >= 1 || i.NumAckPending == 1 })
	b.release <- struct{}{}
	until(t, "both are done", func() bool { return state(t, js).NumAckPending == 0 })
	if i := state(t, js); i.NumPending != 8 {
		t.Errorf("%d wait, want 8", i.NumPending)
	}
}

func TestAGateThatOpensWhileALongRecordingIsInHandIsSeen(t *testing.T) {
	js, p := provisioned(t, "test05")
	route(t, p, queue.Both, 4)
	c := live(t, js, 4)
	var slots atomic.Int32
	slots.Store(1) // as after a throttle
	c.Open = func() queue.Allowance { return queue.Allow(int(slots.Load())) }
	b := &blocked{release: make(chan struct{})}
	run(t, c, b.handle)
	until(t, "one is in hand", func() bool { return b.live.Load() == 1 })
	slots.Store(4)
	until(t, "the others are in hand beside it", func() bool { return b.live.Load() == 4 })
	close(b.release)
}
