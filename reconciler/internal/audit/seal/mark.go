package seal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/tree"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// mark publishes a mark where it is time: some thousands of messages wait, or one for minutes; with now, as soon as there is
// anything. It publishes none before the last one is sealed somewhere: while no store answers, marks would only heap up.
func (s *Sealer) mark(ctx context.Context, now bool) error {
	_, info, e, err := s.stream(ctx)
	if err != nil {
		return err
	}
	known, _, most := s.reach(e)
	if known == 0 {
		return nil // nobody knows yet how far it is; the stores' own troubles are told elsewhere
	}
	last, err := s.lastMark(ctx)
	if err != nil {
		return err
	}
	end := info.State.LastSeq
	if uint64(most) < last || end <= uint64(most) {
		s.Metrics.unsealed(time.Time{})
		if uint64(most) >= last {
			return nil
		}
		return s.waiting(ctx, uint64(most)+1)
	}
	oldest, err := s.at(ctx, uint64(most)+1, "")
	if errors.Is(err, scan.ErrNoMessage) {
		return nil // removed meanwhile, or the stream was made anew
	}
	if err != nil {
		return err
	}
	s.Metrics.unsealed(oldest.Time)
	if !now && end-uint64(most) < s.Pace.Messages && s.Now().Sub(oldest.Time) < s.Pace.Age {
		return nil
	}
	return s.publish(ctx, e, info.Created, end, most == 0 && last == 0)
}

// waiting notes since when the oldest message waits that no store has sealed.
func (s *Sealer) waiting(ctx context.Context, from uint64) error {
	oldest, err := s.at(ctx, from, "")
	if err != nil {
		return nil //nolint:nilerr // there is none, or NATS is away, which the next look will tell
	}
	s.Metrics.unsealed(oldest.Time)
	return nil
}

// publish publishes a mark behind the message end. Two leaders that look at the same moment publish one.
func (s *Sealer) publish(ctx context.Context, e epoch.ID, created time.Time, end uint64, first bool) error {
	reason := ""
	if first {
		before, err := s.predecessor(ctx, e, created)
		if err != nil {
			return err
		}
		if reason = tree.After(before); reason != "" && !s.goesOn(ctx, e, before.Epoch) {
			s.Metrics.epoch()
			s.Log.Error("the AUDIT stream was made anew: a new epoch of the audit log begins; what was not sealed of the old stream is lost",
				zap.String("epoch", string(e)), zap.String("follows", before.String()))
		}
	}
	return s.Publisher.Audit(ctx, event.Audit{
		Kind: event.AuditMark, Tier: event.AuditAll, MsgID: event.DeliveryID(event.AuditMark, event.AuditAll, queue.Audit, end),
		Time: s.Now(), Data: event.AuditData{Reason: reason},
	})
}

// goesOn reports whether the epoch before e is of the peer region's stream, which goes on beside ours, and the only one: then e is
// the first of this region, and nothing is lost. Any other may be of a stream of ours that was lost: no log says whose it is. Where
// that cannot be asked it is not so.
func (s *Sealer) goesOn(ctx context.Context, e, before epoch.ID) bool {
	if s.Peer == nil {
		return false
	}
	stream, err := s.Peer.Stream(ctx, queue.Audit)
	if err != nil || epoch.Of(stream.CachedInfo().Created) != before {
		return false
	}
	for _, store := range s.Stores {
		list, err := audit.Epochs(ctx, store.Reader)
		if err != nil || slices.ContainsFunc(list, func(one epoch.ID) bool { return one != e && one != before }) {
			return false
		}
	}
	return true
}

// predecessor returns the last checkpoint of the epoch before, by what both stores say; by one alone only when the other has
// kept from an answer for long, since it may be the one that is further.
func (s *Sealer) predecessor(ctx context.Context, e epoch.ID, created time.Time) (checkpoint.Head, error) {
	keys, err := s.Keys()
	if err != nil {
		return checkpoint.Head{}, err
	}
	out := checkpoint.None()
	for name, store := range s.Stores {
		h, err := lastBefore(ctx, &audit.Log{Keys: keys}, store, e)
		if err != nil {
			if s.Now().Sub(created) < s.Pace.Patience || len(s.Stores) == 1 {
				return checkpoint.Head{}, fmt.Errorf("look in %s for the log before epoch %s: %w", name, e, err)
			}
			s.Log.Warn("an epoch begins without an answer of a store", zap.Stringer("tier", name), zap.Error(err))
			continue
		}
		if h.Epoch > out.Epoch || h.Epoch == out.Epoch && h.Size > out.Size {
			out = h
		}
	}
	return out, nil
}

// lastBefore returns the last checkpoint of the newest other epoch in a store.
func lastBefore(ctx context.Context, l *audit.Log, store Store, e epoch.ID) (checkpoint.Head, error) {
	list, err := audit.Epochs(ctx, store.Reader)
	if err != nil {
		return checkpoint.Head{}, err
	}
	for i := len(list) - 1; i >= 0; i-- {
		if list[i] == e {
			continue
		}
		note, serial, err := audit.Last(ctx, store.Reader, list[i], 0)
		if err != nil {
			return checkpoint.Head{}, err
		}
		if serial == 0 {
			continue
		}
		c, err := l.Open(list[i], serial, note)
		return c.Head, err
	}
	return checkpoint.None(), nil
}
