package inventory

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// readEnded reads in the log which deliveries have ended of those above the lowest floor: one that stays unfinished holds
// the floor, and all that was acknowledged since would look unfinished as well. What the log no longer has looks so.
func (f *Floors) readEnded(ctx context.Context, js jetstream.JetStream) error {
	lowest := f.Lowest(f.through)
	if lowest >= f.through {
		return nil
	}
	stream, err := js.Stream(ctx, f.stream)
	if err != nil {
		return fmt.Errorf("stream %s: %w", f.stream, err)
	}
	first, err := stream.GetMsg(ctx, max(lowest+1, stream.CachedInfo().State.FirstSeq))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // it has left meanwhile
	}
	if err != nil {
		return fmt.Errorf("read stream %s: %w", f.stream, err)
	}
	var subjects []string
	for _, kind := range []event.AuditKind{
		event.AuditStored, event.AuditAlreadyPresent, event.AuditAcceptedUnverified, event.AuditDead, event.AuditRedriven,
	} {
		subjects = append(subjects, queue.AuditSubject(string(kind), "*"))
	}
	return scan.Stream(ctx, js, queue.Audit, scan.Range{Subjects: subjects, Since: first.Time, Headers: true}, func(m scan.Message) error {
		d, ok := event.ParseDeliveryID(m.Header.Get(jetstream.MsgIDHeader))
		t, err := tier.Parse(d.Tier)
		if ok && err == nil && d.Stream == f.stream && d.Sequence > lowest && d.Sequence <= f.through {
			set := f.ended[t]
			set.base = lowest
			set.add(d.Sequence)
			f.ended[t] = set
		}
		return nil
	})
}

// bitset is a set of sequences above base: one bit for each up to the highest.
type bitset struct {
	base uint64
	bits []uint64
}

func (b *bitset) add(seq uint64) {
	n := seq - b.base
	for uint64(len(b.bits)) <= n/64 {
		b.bits = append(b.bits, 0)
	}
	b.bits[n/64] |= 1 << (n % 64)
}

func (b bitset) has(seq uint64) bool {
	n := seq - b.base
	return seq >= b.base && n/64 < uint64(len(b.bits)) && b.bits[n/64]&(1<<(n%64)) != 0
}
