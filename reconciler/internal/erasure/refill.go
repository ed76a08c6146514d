package erasure

import (
	"context"
	"iter"

	"github.com/twinreel/twinreel/pkg/event"
)

// Forgotten is a recording that the audit log says was forgotten.
type Forgotten struct {
	IdempotencyKey string
	Tombstone
}

// Refill sees to it that each of the recordings has its tombstone and its digest entry, and so has each tombstone: one of
// the buckets, or both, may have been lost, and a `recording forget` may have broken off after its audit event. It returns
// how many it had to make. It may be repeated.
func (s *Stones) Refill(ctx context.Context, sealed iter.Seq2[Forgotten, error]) (made int, err error) {
	hashes, err := s.Hashes(ctx)
	if err != nil {
		return 0, err
	}
	for f, err := range sealed {
		if err != nil {
			return made, err
		}
		hash := event.HashKey(f.IdempotencyKey)
		if _, known := hashes[hash]; known {
			continue // its entry follows below
		}
		fresh, err := s.set(ctx, hash, f.Tombstone)
		if err != nil {
			return made, err
		}
		if hashes[hash] = struct{}{}; fresh {
			made++
		}
	}
	for hash := range hashes {
		_, fresh, err := s.forget(ctx, hash)
		if err != nil {
			return made, err
		}
		if fresh {
			made++
		}
	}
	return made, nil
}
