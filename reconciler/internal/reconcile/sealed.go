package reconcile

import (
	"context"
	"iter"
	"time"

	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
)

// Sealed is what the sealed log says was stored, and what was forgotten, as entries of the ledger.
func Sealed(log *audit.Log) func(context.Context) iter.Seq2[inventory.Entry, error] {
	return func(ctx context.Context) iter.Seq2[inventory.Entry, error] {
		return func(yield func(inventory.Entry, error) bool) {
			for line, err := range log.Roster(ctx) {
				if err != nil {
					yield(inventory.Entry{}, err)
					return
				}
				e := inventory.Entry{IdempotencyKey: line.IdempotencyKey, ObjectKey: line.ObjectKey, Forgotten: line.Forgotten != nil}
				for _, t := range tier.All() {
					e.First = earliest(e.First, line.In(t))
				}
				if e.First = earliest(e.First, line.Forgotten); e.First.IsZero() {
					continue
				}
				e.Newest = e.First
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

func earliest(a time.Time, b *time.Time) time.Time {
	if b == nil || !a.IsZero() && a.Before(*b) {
		return a
	}
	return *b
}
