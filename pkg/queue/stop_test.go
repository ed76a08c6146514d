package queue_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/queue"
)

// held tells what became of messages in the hands of consumers.
type held struct {
	mu    sync.Mutex
	done  map[uint64]int // how often a handler said that it may be acknowledged
	begun map[uint64]bool
}

func (h *held) begin(seq uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.begun[seq] = true
}

func (h *held) finish(seq uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done[seq]++
}

func (h *held) counts() (done, begun int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.done), len(h.begun)
}

// Some of what is in hand at a stop gets done within the drain time, the rest does not. None of it is lost, none is done
// that was acknowledged, and the next consumer has the rest long before its ack wait is over.
func TestAStopInTheMiddleOfEverythingLosesNothingAndKeepsNothing(t *testing.T) {
	const all, slots = 60, 16
	js, p := provisioned(t, "test05")
	publish(t, p, all)
	h := &held{done: map[uint64]int{}, begun: map[uint64]bool{}}
	stopped := make(chan struct{})
	r := run(t, live(t, js, slots), func(ctx context.Context, d queue.Delivery) error {
		h.begin(d.Sequence)
		switch d.Sequence % 4 {
		case 0: // done at once
		case 1: // done only after the stop
			<-stopped
		default: // not to be done in time
			<-ctx.Done()
			return ctx.Err()
		}
		h.finish(d.Sequence)
		return nil
	})
	until(t, "every slot holds what does not get done", func() bool { done, begun := h.counts(); return begun-done == slots })
	r.stop()
	close(stopped)
	until(t, "what can be done is done", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		for seq := range h.begun {
			if seq%4 < 2 && h.done[seq] == 0 {
				return false
			}
		}
		return true
	})
	r.abandon()
	<-r.ended
	handedBack := time.Now()
	run(t, live(t, js, slots), func(_ context.Context, d queue.Delivery) error {
		h.finish(d.Sequence)
		return nil
	})
	until(t, "everything is acknowledged", func() bool { i := state(t, js); return i.NumPending == 0 && i.NumAckPending == 0 })
	if took := time.Since(handedBack); took > queue.AckWait/2 {
		t.Errorf("the rest came after %s, as if it had been kept", took)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for seq := uint64(1); seq <= all; seq++ {
		if h.done[seq] != 1 {
			t.Errorf("message %d was done %d times", seq, h.done[seq])
		}
	}
}

// A handler that is told to give up and has an excuse for later is not listened to: at a stop there is no later.
func TestAtAStopNothingWaitsForItsRetry(t *testing.T) {
	js, p := provisioned(t, "test05")
	publish(t, p, 8)
	var ready sync.WaitGroup
	ready.Add(8)
	r := run(t, live(t, js, 8), func(ctx context.Context, _ queue.Delivery) error {
		ready.Done()
		<-ctx.Done()
		return &queue.Later{After: time.Hour, Err: errors.New("store away")}
	})
	ready.Wait()
	r.stop()
	r.abandon()
	<-r.ended
	var again sync.WaitGroup
	again.Add(8)
	run(t, live(t, js, 8), func(context.Context, queue.Delivery) error { again.Done(); return nil })
	came := make(chan struct{})
	go func() { again.Wait(); close(came) }()
	select {
	case <-came:
	case <-time.After(20 * time.Second):
		t.Fatal("what was held does not come again")
	}
}
