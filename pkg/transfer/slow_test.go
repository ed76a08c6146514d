package transfer_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

// TestMemoryStaysWithinItsBoundWhileSlowStoresKeepManyWaiting lets a thousand deliveries of all sizes, on all three ways
// up, wait for stores of which each call takes seconds. What is on loan and kept together, which is what
// twinreel_buffer_bytes and the process's memory follow, never is more than the bound; and all get done.
func TestMemoryStaysWithinItsBoundWhileSlowStoresKeepManyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t) // four parts
		w.copiers[tier.Primary].StreamMax = 4 * part
		w.source.ranged = true
		var peak atomic.Int64
		slow := func(context.Context, memstore.Call) error {
			for now := w.buffers.Held(); ; {
				if old := peak.Load(); now <= old || peak.CompareAndSwap(old, now) {
					break
				}
			}
			time.Sleep(3 * time.Second)
			return nil
		}
		for _, tr := range tier.All() {
			for _, op := range []memstore.Op{memstore.Put, memstore.Create, memstore.Part, memstore.Stream, memstore.Write, memstore.Commit} {
				w.stores[tr].Before(op, slow)
			}
		}
		var all sync.WaitGroup
		for i := range 500 {
			job := w.job(fmt.Sprintf("rec-%d", i), media([]int{100, 5000, part, 3*part + 1, 6*part + i}[i%5]))
			for _, tr := range tier.All() {
				all.Go(func() {
					if _, err := w.copiers[tr].Copy(t.Context(), job); err != nil {
						t.Errorf("%s recording %d: %v", tr, i, err)
					}
				})
			}
		}
		all.Wait()
		if got := peak.Load(); got > 4*part || got < 2*part {
			t.Errorf("up to %d bytes were held, of %d", got, 4*part)
		}
	})
}
