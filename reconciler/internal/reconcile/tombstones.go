package reconcile

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
)

// ErrNoKeys is returned where nobody's checkpoints can be believed.
var ErrNoKeys = errors.New("without the audit log's key nothing of it is proven")

// Forgotten yields what the sealed log proves was forgotten, of what has no tombstone by now. A tombstone ends a
// recording's repair for good in both clouds, so that it is made of nothing but a leaf that is proven against a signed
// checkpoint; what is only claimed goes to doubt, and nothing is done for it.
func Forgotten(ctx context.Context, log *audit.Log, known map[string]struct{}, doubt func(key string, err error)) iter.Seq2[erasure.Forgotten, error] {
	return func(yield func(erasure.Forgotten, error) bool) {
		if !log.Keys.Any() {
			yield(erasure.Forgotten{}, ErrNoKeys)
			return
		}
		for line, err := range log.Forgotten(ctx) {
			if err != nil {
				yield(erasure.Forgotten{}, err)
				return
			}
			if _, there := known[event.HashKey(line.IdempotencyKey)]; there {
				continue
			}
			stone, err := proven(ctx, log, line.IdempotencyKey)
			if err != nil {
				doubt(line.IdempotencyKey, err)
				continue
			}
			if !yield(erasure.Forgotten{IdempotencyKey: line.IdempotencyKey, Tombstone: stone}, nil) {
				return
			}
		}
	}
}

// proven returns the tombstone that a proven leaf tells of.
func proven(ctx context.Context, log *audit.Log, key string) (erasure.Tombstone, error) {
	leaves, doubts := log.Proven(ctx, key)
	for _, l := range leaves {
		if d := l.Data(); l.Kind() == event.AuditForgotten && d.IdempotencyKey == key {
			return erasure.Tombstone{By: d.By, At: l.Stored.UTC(), Case: d.Case, Reason: d.Reason}, nil
		}
	}
	return erasure.Tombstone{}, errors.Join(append(doubts, fmt.Errorf("no line of the log says that %s was forgotten", key))...)
}

// Refill makes tombstones again that were lost, of what the sealed log proves.
func Refill(ctx context.Context, stones *erasure.Stones, log *audit.Log, doubt func(key string, err error)) (made int, err error) {
	known, err := stones.Hashes(ctx)
	if err != nil {
		return 0, err
	}
	return stones.Refill(ctx, Forgotten(ctx, log, known, doubt))
}
