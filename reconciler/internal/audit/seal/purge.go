package seal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/tree"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// How full the stream may be. Above the first, what both stores have sealed goes at any age; above the second, what one has.
// So much is purged that the stream is a little below again, and no more: what it keeps is looked up faster than the log.
const (
	full     = 0.50
	fuller   = 0.75
	downWith = 0.05
)

// purge removes from the stream what is sealed and no longer wanted there. It never removes what is not sealed, and looks
// first that the checkpoints it relies on can be read, that the tree's edge is what they were made from, and that each leaf
// which would go is in the data tiles as the tree has it.
func (s *Sealer) purge(ctx context.Context) error {
	for _, t := range s.tracks {
		t.again(ctx)
	}
	stream, info, e, err := s.stream(ctx)
	if err != nil || info.State.Msgs == 0 {
		return err
	}
	known, least, most := s.reach(e)
	if known < len(s.Stores) {
		least = 0 // one store is not heard of
	}
	young, err := s.young(ctx, info)
	if err != nil {
		return err
	}
	due := purgeable(usage{
		First: info.State.FirstSeq, Messages: info.State.Msgs, Bytes: info.State.Bytes, Limit: info.Config.MaxBytes, Young: young,
	}, uint64(least), uint64(most), len(s.Stores))
	var unproven error
	for _, d := range due {
		if err := s.confirm(ctx, e, int64(info.State.FirstSeq)-1, int64(d.through), d.stores); err != nil {
			unproven = errors.Join(unproven, err)
			continue
		}
		if _, _, now, err := s.stream(ctx); err != nil || now != e {
			return errors.Join(err, errAnew)
		}
		if err := stream.Purge(ctx, jetstream.WithPurgeSequence(d.through+1)); err != nil {
			return fmt.Errorf("purge %s up to %d: %w", queue.Audit, d.through, queue.Refused(s.JS.Conn(), err))
		}
		s.Log.Info("purged sealed audit messages", zap.Uint64("through", d.through), zap.Int("sealed_in", d.stores))
		return unproven // a store that has not what it should is told also where the other one's word was enough
	}
	return unproven
}

// usage is what the stream holds.
type usage struct {
	First, Messages, Bytes uint64
	Limit                  int64  // of Bytes; none: 0 or less
	Young                  uint64 // the first sequence that is too young to go for its age
}

// goes is what may be purged: up to which sequence, where that is sealed in so many stores.
type goes struct {
	through uint64
	stores  int
}

// purgeable returns what may be purged, what is to be tried first before what is left where that is not proven. least and most
// are how far all stores, and the furthest, have sealed.
func purgeable(u usage, least, most uint64, stores int) (due []goes) {
	if u.Messages == 0 {
		return nil
	}
	var both, alone uint64
	if u.Young > 0 {
		both = min(u.Young-1, least)
	}
	if u.Limit > 0 {
		share := float64(u.Bytes) / float64(u.Limit)
		// through is the last sequence to go, so that about that share is left: messages are much of a size.
		through := func(left float64) uint64 { return u.First - 1 + uint64(float64(u.Messages)*(1-left/share)+1) }
		if share > full {
			both = max(both, min(through(full-downWith), least))
		}
		if share > fuller {
			alone = min(through(fuller-downWith), most)
		}
	}
	for _, d := range []goes{{both, stores}, {alone, 1}} {
		if d.through >= u.First {
			due = append(due, d)
		}
	}
	if len(due) == 2 && alone > both { // the stream must not fill up meanwhile
		slices.Reverse(due)
	}
	return due
}

// young returns the first sequence that is younger than the stream's life of sealed messages, the next to come if there is
// none.
func (s *Sealer) young(ctx context.Context, info *jetstream.StreamInfo) (uint64, error) {
	since := s.Now().Add(-s.TTL)
	if info.State.FirstTime.After(since) {
		return info.State.FirstSeq, nil
	}
	if info.State.LastTime.Before(since) {
		return info.State.LastSeq + 1, nil
	}
	var first uint64
	err := scan.Stream(ctx, s.JS, queue.Audit, scan.Range{Since: since, Headers: true}, func(m scan.Message) error {
		first = m.Sequence
		return errEnough
	})
	if first == 0 && err == nil {
		return info.State.LastSeq + 1, nil
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	return first, err
}

// confirm looks that so many stores have sealed the leaves of the indexes first to limit-1, by what they hold now.
func (s *Sealer) confirm(ctx context.Context, e epoch.ID, first, limit int64, need int) error {
	keys, err := s.Keys()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	have := 0
	var all error
	for _, name := range tier.All() {
		t := s.tracks[name]
		if t == nil {
			continue
		}
		b, err := t.from(ctx, keys, e, nil)
		switch {
		case err != nil:
			all = errors.Join(all, fmt.Errorf("%s: %w", name, err))
		case b.Size() >= limit:
			if err := t.prove(ctx, b.Head(), first, limit); err != nil {
				all = errors.Join(all, fmt.Errorf("%s: %w", name, err))
				continue
			}
			have++
		}
	}
	if have < need {
		return errors.Join(fmt.Errorf("message %d is to be sealed in %d stores before it is purged, and is in %d", limit, need, have), all)
	}
	return nil
}

// prove looks that the store holds the leaves of the indexes first to limit-1, as the tree at the head has them. Whole tiles
// that were proven before are not read again: they are never written again.
func (t *track) prove(ctx context.Context, h checkpoint.Head, first, limit int64) error {
	if t.proven.epoch == h.Epoch {
		first = max(first, t.proven.size)
	}
	through, err := tree.Prove(ctx, t.store.Reader, h, first, limit)
	t.proven.epoch, t.proven.size = h.Epoch, through/tree.Width*tree.Width
	if err != nil && alarming(err) && !t.unproven.Load() {
		t.failed.head, t.failed.first, t.failed.limit = h, through, limit
		t.unproven.Store(true)
		t.Metrics.broken(t.tier, true)
	}
	return err
}

// again looks once more at what was not proven, also when the stream has it no more: only a proof of it ends the alarm, and a
// store that does not answer proves nothing.
func (t *track) again(ctx context.Context) {
	if !t.unproven.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err := tree.Prove(ctx, t.store.Reader, t.failed.head, t.failed.first, t.failed.limit)
	t.unproven.Store(err != nil)
}
