package reconcile

import (
	"context"
	"sync/atomic"
	"testing"

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
