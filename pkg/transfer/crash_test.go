package transfer_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

// TestACrashAnywhereIsFinishedByTheNextDelivery fails one call of the store after the other, before or after it took
// effect, with and without the ledger's memory of it, until a copy gets through; then both tiers must hold the same.
func TestACrashAnywhereIsFinishedByTheNextDelivery(t *testing.T) {
	both := []memstore.Op{memstore.Put, memstore.Commit, memstore.Stat, memstore.ReadSidecar, memstore.Abort}
	for _, c := range []struct {
		size   int
		stream bool
		ranged bool
		ops    []memstore.Op
	}{
		{100, false, false, both},
		{3*part + 5, false, false, append(both, memstore.Create, memstore.Part)},
		{3*part + 5, false, true, append(both, memstore.Create, memstore.Part)},
		{3*part + 5, true, false, append(both, memstore.Stream, memstore.Write)},
		{3*part + 5, true, true, append(both, memstore.Stream, memstore.Write)},
	} {
		for _, op := range c.ops {
			for nth := 1; nth <= 4; nth++ {
				for _, lost := range []bool{false, true} {
					for _, forgetful := range []bool{false, true} {
						t.Run(fmt.Sprintf("%d bytes, streamed %v, ranges %v, %s %d, answer lost %v, ledger lost %v", c.size, c.stream, c.ranged, op, nth, lost, forgetful), func(t *testing.T) {
							w := newWorld(t)
							w.source.ranged = c.ranged
							if c.stream {
								w.copiers[tier.Primary].StreamMax = 1 << 30
							}
							crash(t, w, c.size, op, nth, lost, forgetful)
						})
					}
				}
			}
		}
	}
}

func crash(t *testing.T, w *world, n int, op memstore.Op, nth int, lost, forgetful bool) {
	job := w.job("rec-1", media(n))
	failed := fault.New(fault.Unavailable, fault.Store, string(op), fmt.Errorf("%w: %w", objstore.ErrUnknown, errBroken))
	hook := w.stores[tier.Primary].Before
	if lost {
		hook = w.stores[tier.Primary].After
	}
	hook(op, func(ctx context.Context, c memstore.Call) error {
		if c.N == nth {
			return failed
		}
		return ctx.Err()
	})
	first := job
	for try := 1; ; try++ {
		_, err := w.copy(tier.Primary, first)
		if err == nil {
			break
		}
		if c := fault.ClassOf(err); c == fault.Conflict || c == fault.Corrupt || try > 3 {
			t.Fatalf("delivery %d: %v", try, err)
		}
		first = again(job)
		if forgetful {
			w.ledger.Clear()
		}
	}
	if _, err := w.copy(tier.Backup, job); err != nil {
		t.Fatalf("the sibling: %v", err)
	}
	for _, tr := range tier.All() {
		o, ok := w.stores[tr].Object(job.Event.Data.ObjectKey)
		if !ok || string(o.Body) != string(media(n)) {
			t.Fatalf("%s holds %d bytes", tr, len(o.Body))
		}
	}
	if a, b := w.sidecar(tier.Primary, job), w.sidecar(tier.Backup, job); a == "" || a != b {
		t.Errorf("sidecars %q and %q", a, b)
	}
	if left := w.stores[tier.Primary].OpenUploads(); left > 0 && !forgetful && op != memstore.Abort && op != memstore.Create && op != memstore.Stream {
		t.Errorf("%d uploads are left open", left)
	}
}
