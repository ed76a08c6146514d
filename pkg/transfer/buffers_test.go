package transfer_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twinreel/twinreel/pkg/transfer"
)

func get(t *testing.T, b *transfer.Buffers, n int) *transfer.Buffer {
	t.Helper()
	buf, err := b.Get(t.Context(), n)
	if err != nil || len(buf.B) != n {
		t.Fatalf("%d bytes: %v", n, err)
	}
	return buf
}

func TestBuffersAreUsedAgain(t *testing.T) {
	b := transfer.NewBuffers(1<<20, 1<<18)
	first := get(t, b, 100_000)
	mem := &first.B[0]
	first.Free()
	again := get(t, b, 70_000) // of the same power of two
	defer again.Free()
	if &again.B[0] != mem {
		t.Error("memory was made although some was free")
	}
}

// TestMemoryKeptCountsToo fills the bound with one size and then asks for another: what was kept has to go.
func TestMemoryKeptCountsToo(t *testing.T) {
	const limit, part = 1 << 20, 3 << 16 // a part that is no power of two
	b := transfer.NewBuffers(limit, part)
	for _, n := range []int{4096, part, 1 << 16, 1, part, 5000} {
		var all []*transfer.Buffer
		for b.Used()+int64(n) <= limit {
			all = append(all, get(t, b, n))
			if len(all) > limit/4096 {
				t.Fatal("more was handed out than there is")
			}
			if b.Used() > limit-part {
				break
			}
		}
		for _, buf := range all {
			buf.Free()
		}
		if kept := b.Held(); kept > limit || b.Used() != 0 {
			t.Fatalf("%d bytes are kept and %d on loan, of %d", kept, b.Used(), limit)
		}
	}
}

func TestNobodyGetsMoreThanThereIs(t *testing.T) {
	const limit, part = 1 << 20, 1 << 17
	b := transfer.NewBuffers(limit, part)
	var peak atomic.Int64
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for n := range 200 {
				buf, err := b.Get(t.Context(), 1+(i*7919+n*104729)%part)
				if err != nil {
					t.Error(err)
					return
				}
				for now := b.Held(); ; {
					if old := peak.Load(); now <= old || peak.CompareAndSwap(old, now) {
						break
					}
				}
				buf.Free()
			}
		})
	}
	wg.Wait()
	if peak.Load() > limit || b.Used() != 0 {
		t.Errorf("up to %d bytes of %d, %d at the end", peak.Load(), limit, b.Used())
	}
}

// TestALargeRecordingLeavesRoomForSmallOnes lets one recording take all it can get: small ones must not wait for it.
func TestALargeRecordingLeavesRoomForSmallOnes(t *testing.T) {
	const part = 1 << 17
	b := transfer.NewBuffers(16*part, part)
	large := b.Join()
	defer large.Leave()
	var held []*transfer.Buffer
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		buf, err := large.Get(ctx)
		cancel()
		if err != nil {
			break
		}
		held = append(held, buf)
	}
	if len(held) != 14 {
		t.Errorf("it got %d of 16 parts, want seven eighths", len(held))
	}
	for range 1000 {
		get(t, b, part).Free()
	}
	for _, buf := range held {
		buf.Free()
	}
}

// TestSmallOnesDoNotStarveALargeRecording keeps all memory busy with small recordings; the large one gets its turns.
func TestSmallOnesDoNotStarveALargeRecording(t *testing.T) {
	const part = 1 << 16
	b := transfer.NewBuffers(4*part, part)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if buf, err := b.Get(ctx, part/4); err == nil {
					buf.Free()
				}
			}
		})
	}
	large := b.Join()
	for n := range 500 {
		turn, end := context.WithTimeout(ctx, 10*time.Second)
		buf, err := large.Get(turn)
		end()
		if err != nil {
			t.Fatalf("part %d: %v", n, err)
		}
		buf.Free()
	}
	large.Leave()
	cancel()
	wg.Wait()
}

func TestLargeRecordingsShareFairly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const part = 1 << 16
		b := transfer.NewBuffers(16*part, part)
		first, second := b.Join(), b.Join()
		take := func(s *transfer.Share) (held []*transfer.Buffer) {
			for {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				buf, err := s.Get(ctx)
				cancel()
				if err != nil {
					return held
				}
				held = append(held, buf)
			}
		}
		one, two := take(first), take(second)
		if len(one) != 7 || len(two) != 7 {
			t.Errorf("%d and %d parts of 16, want 7 each", len(one), len(two))
		}
		got := make(chan *transfer.Buffer)
		go func() {
			buf, err := first.Get(t.Context())
			if err != nil {
				t.Error(err)
			}
			got <- buf
		}()
		synctest.Wait()
		second.Leave() // its fair part is the first's now
		one = append(one, <-got)
		for _, buf := range append(one, two...) {
			buf.Free()
		}
		first.Leave()
		if b.Used() != 0 {
			t.Errorf("%d bytes are on loan", b.Used())
		}
	})
}

func TestWhoGivesUpWaitingTakesNothing(t *testing.T) {
	const part = 1 << 16
	b := transfer.NewBuffers(part, part)
	s := b.Join()
	held, err := s.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Get(ctx); err == nil {
			t.Fatal("got more than there is")
		}
	}
	held.Free()
	again, err := s.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again.Free()
	s.Leave()
}

func BenchmarkBuffers(b *testing.B) {
	buffers := transfer.NewBuffers(128<<20, 8<<20)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			buf, err := buffers.Get(b.Context(), 1<<20)
			if err != nil {
				b.Error(err)
				return
			}
			buf.Free()
		}
	})
}
