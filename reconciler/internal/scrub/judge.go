package scrub

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/reconciler/internal/copies"
	"github.com/twinreel/twinreel/reconciler/internal/plan"
)

// Verdict is what came of one object.
type Verdict string

// The verdicts. Only Differs is a finding.
const (
	Good        Verdict = "good"        // the bytes are those that its sidecar names
	Differs     Verdict = "differs"     // they are not, read twice
	Unreadable  Verdict = "unreadable"  // the store is well, but does not give the object
	Unsteady    Verdict = "unsteady"    // two readings differ: not the copy, but what lies between, or it was replaced just then
	Unexplained Verdict = "unexplained" // no sidecar of this tier is about it: the inventory's business
	Gone        Verdict = "gone"        // no longer there when its turn came: likewise
)

func verdicts() []Verdict { return []Verdict{Good, Differs, Unreadable, Unsteady, Unexplained, Gone} }

// copy reads one copy back and judges it. An error says that ctx has ended.
func (s *Scrubber) copy(ctx context.Context, l *lane, info objstore.Info) (Verdict, error) {
	key := plan.Owner(info.Key)
	if key == "" {
		return Unexplained, nil
	}
	named, err := s.sidecar(ctx, l, key, fairly)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, errUnreadable):
		return s.unreadable(l, key, err), nil
	case named == nil, named.ObjectKey != info.Key, named.Size < 0:
		return Unexplained, nil
	}
	r := reading{l, info.Key, named.Size, fairly, func(ctx context.Context, n int) error { return s.admit(ctx, l, n) }, l.buffer}
	got, err := s.read(ctx, r)
	if err != nil {
		return s.unread(ctx, l, key, err)
	}
	s.count(l, got.Size)
	if got == named.Digest {
		return Good, nil
	}
	return s.confirm(ctx, l, key, r, got)
}

// unread is the verdict on what was not read to its end.
func (s *Scrubber) unread(ctx context.Context, l *lane, key string, err error) (Verdict, error) {
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, objstore.ErrNotExist):
		return Gone, nil
	case !errors.Is(err, errUnreadable):
		return Unexplained, nil // what is at its sidecar's key is none
	}
	return s.unreadable(l, key, err), nil
}

func (s *Scrubber) unreadable(l *lane, key string, err error) Verdict {
	s.Log.Error("a copy cannot be read back", zap.String("tier", l.tier.String()), zap.String("recording_id", key),
		zap.Stringer("fault", fault.ClassOf(err)), zap.String("error", fault.Text(err)))
	return Unreadable
}

// count takes bytes that were read into the turn.
func (s *Scrubber) count(l *lane, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.mark.Bytes += n
}

// sidecar returns what the tier's sidecar says of the recording, nil if it has none. The errors are persist's.
func (s *Scrubber) sidecar(ctx context.Context, l *lane, key string, p patience) (out *digest.Entry, err error) {
	err = s.persist(ctx, l, p, func(ctx context.Context) (err error) {
		_, out, err = copies.Sidecar(ctx, l.store, key)
		return err
	})
	return out, err
}

// stat describes an object. The errors are persist's.
func (s *Scrubber) stat(ctx context.Context, l *lane, key string) (out objstore.Info, err error) {
	err = s.persist(ctx, l, fairly, func(ctx context.Context) (err error) {
		out, err = l.store.Stat(ctx, key)
		return err
	})
	return out, err
}

// confirm reads a copy that seems to differ once more. It differs if both readings have the same bytes, as many as the
// store says there are, and nobody replaced it between them.
func (s *Scrubber) confirm(ctx context.Context, l *lane, key string, r reading, first digest.Digest) (Verdict, error) {
	r.admit = s.budget.WaitN // evidence is not spread over days
	before, err := s.stat(ctx, l, r.key)
	if err != nil {
		return s.unread(ctx, l, key, err)
	}
	second, err := s.read(ctx, r)
	if err != nil {
		return s.unread(ctx, l, key, err)
	}
	after, err := s.stat(ctx, l, r.key)
	if err != nil {
		return s.unread(ctx, l, key, err)
	}
	named, err := s.sidecar(ctx, l, key, fairly)
	switch {
	case err != nil:
		return s.unread(ctx, l, key, err)
	case named == nil:
		return Unexplained, nil
	}
	same := second == first && named.Size == r.size && before.ETag == after.ETag && before.Size == after.Size
	if whole := second.Size == min(before.Size, r.size+1); !same || !whole || second == named.Digest {
		s.Log.Error("two readings of a copy differ: look at this machine and its way to the store", zap.String("tier", l.tier.String()),
			zap.String("recording_id", key))
		return Unsteady, nil
	}
	f := finding{key: key, named: named.Digest, got: second, info: before}
	if err := s.compare(ctx, l, r, &f); err != nil {
		return "", err
	}
	s.report(ctx, l, f)
	return Differs, nil
}
