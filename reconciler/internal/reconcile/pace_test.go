package reconcile

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

// given stores that are far away, when a plan is carried out, then many recordings are looked at side by side: here nobody is
// answered before sixteen have asked.
func TestRepairsGoOnSideBySide(t *testing.T) {
	b := newBed(t)
	for _, e := range b.settled(20) {
		b.lose(tier.Backup, e)
	}
	var asked atomic.Int64
	enough := make(chan struct{})
	b.stores[tier.Primary].Before(memstore.Link, func(ctx context.Context, _ memstore.Call) error {
		if asked.Add(1) == 16 {
			close(enough)
		}
		select {
		case <-enough:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if r := b.run(full()); r.Repair.Sent != 20 || r.Repair.Failed != 0 {
		t.Errorf("%d sent, %d failed (%s)", r.Repair.Sent, r.Repair.Failed, r.Repair.Why)
	}
}

// given a tier that is behind and takes nothing, when copies would be sent to it, then the run goes on without, and says so.
func TestCopiesAreNotSentIntoABacklogInWhichTheirLinksLapse(t *testing.T) {
	b := newBed(t)
	all := b.settled(6)
	b.lose(tier.Primary, all[0])
	for _, e := range all[1:] {
		b.lose(tier.Backup, e)
	}
	r := b.runner()
	began, waited := time.Now(), atomic.Int64{}
	r.Repairer.Ahead, r.Repairer.Now = 2, func() time.Time { return began.Add(time.Duration(waited.Load())) }
	r.Repairer.Pause = func(_ context.Context, d time.Duration) { waited.Add(int64(d)) }
	got, err := r.Run(t.Context(), full())
	b.must(err)
	defer func() { _ = got.Plan.Close() }()
	if got.Repair.Held != 3 || got.Repair.Sent != 3 || got.Remaining != 6 || len(b.redrives(tier.Primary)) != 1 || len(b.redrives(tier.Backup)) != 2 {
		t.Errorf("sent %d, held %d, %d remain", got.Repair.Sent, got.Repair.Held, got.Remaining)
	}
}
