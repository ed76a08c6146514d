package reconcile

import (
	"context"
	"iter"

	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
)

// Forgotten is what the sealed log says was forgotten, for tombstones that were lost. Who had it forgotten and for which
// case its leaf tells, which is looked for by the recording's name.
func Forgotten(ctx context.Context, log *audit.Log) iter.Seq2[erasure.Forgotten, error] {
	return func(yield func(erasure.Forgotten, error) bool) {
		for line, err := range log.Forgotten(ctx) {
			var f erasure.Forgotten
			if err == nil {
				f = erasure.Forgotten{IdempotencyKey: line.IdempotencyKey, Tombstone: erasure.Tombstone{
					By: "reconciler", At: line.Forgotten.UTC(), Reason: "made again from the audit log, which has the case",
				}}
			}
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}
