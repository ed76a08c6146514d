package repair

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
	"github.com/twinreel/twinreel/reconciler/internal/redrive"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// before is how long before it would leave by age something is owed again.
const before = 7 * 24 * time.Hour

// reasonAge is data.reason of an event that would have left RECORDINGS unfinished.
const reasonAge = "expiry"

// errYoung ends the reading of a stream: all that follows is younger.
var errYoung = errors.New("young enough")

// horizon returns the time before which what a stream holds will soon leave it; zero where nothing leaves by age.
func (r *Repairer) horizon(ctx context.Context, name string) (time.Time, error) {
	stream, err := r.JS.Stream(ctx, name)
	if err != nil {
		return time.Time{}, fault.New(fault.Unavailable, fault.Queue, "ask for the stream "+name, err)
	}
	age := stream.CachedInfo().Config.MaxAge
	if age == 0 {
		return time.Time{}, nil
	}
	return r.Now().Add(-age + min(before, age/2)), nil
}

// RenewEvents sends again what would leave RECORDINGS by age while a tier has still to do with it, above the sequence that
// an earlier call returned: nothing leaves unseen. It returns up to where it is done.
func (r *Repairer) RenewEvents(ctx context.Context, above uint64, f inventory.Floors) (through uint64, sent int64, err error) {
	old, err := r.horizon(ctx, queue.Recordings)
	if err != nil || old.IsZero() {
		return above, 0, err
	}
	through = above
	err = scan.Stream(ctx, r.JS, queue.Recordings, scan.Range{From: above + 1}, func(m scan.Message) error {
		if !m.Stored.Before(old) {
			return errYoung
		}
		if m.Sequence <= above {
			return nil // the stream was made anew, or begins later
		}
		n, err := r.renewEvent(ctx, m, f)
		sent += n
		if err == nil {
			through = m.Sequence
		}
		return err
	})
	if errors.Is(err, errYoung) {
		err = nil
	}
	return through, sent, err
}

// renewEvent sends one event again to each tier that has not finished it and lacks its copy.
func (r *Repairer) renewEvent(ctx context.Context, m scan.Message, f inventory.Floors) (sent int64, err error) {
	e, unread := event.Parse(m.Body)
	for _, t := range tier.All() {
		if unread != nil || !f.Unfinished(t, m.Subject, m.Sequence) {
			continue // of no event, the letter, or the wait for a newer program, is the workers' to make
		}
		owed, err := r.owed(ctx, t, e)
		if err != nil {
			return sent, err
		}
		if !owed {
			continue
		}
		if err := r.Rate.Wait(ctx); err != nil {
			return sent, err
		}
		if err := r.again(ctx, t, e, m); err != nil {
			return sent, err
		}
		sent++
	}
	return sent, nil
}

// owed says that the tier lacks its copy, and is to have one.
func (r *Repairer) owed(ctx context.Context, t tier.Tier, e event.Event) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	what, err := r.Source.GatherFor(ctx, t, e.Data.IdempotencyKey, e.Data.ObjectKey)
	if err != nil {
		return false, err
	}
	gone, err := r.Erased(ctx, e.Data.IdempotencyKey)
	return err == nil && !gone && !what.Forgotten() && !what.Stored(t), err
}

// again sends the event to the tier once more.
func (r *Repairer) again(ctx context.Context, t tier.Tier, e event.Event, m scan.Message) error {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	body, err := redrive.Of(m.Body, reasonAge, redrive.Sibling{})
	if err != nil {
		return err
	}
	id := fmt.Sprintf("redrive/%s/%s/%s/%d", reasonAge, t, queue.Recordings, m.Sequence)
	if _, err := r.Publisher.Redrive(ctx, t, id, m.Header.Get("traceparent"), body); err != nil {
		return err
	}
	r.Log.Warn("an event would have left by age and is sent again", zap.String("tier", t.String()), zap.String("recording_id", e.Data.IdempotencyKey))
	return r.audited(ctx, t, e, id)
}

func (r *Repairer) audited(ctx context.Context, t tier.Tier, e event.Event, id string) error {
	return r.Publisher.Audit(ctx, event.Audit{
		Kind: event.AuditRedriven, Tier: t.String(), Time: r.Now(), MsgID: string(event.AuditRedriven) + "/" + id,
		Data: event.AuditData{Tier: t.String(), IdempotencyKey: e.Data.IdempotencyKey, ObjectKey: e.Data.ObjectKey, Reason: reasonAge, By: r.By},
	})
}

// RenewLetters publishes again, as it is, each letter that would leave by age, and then removes the old one.
func (r *Repairer) RenewLetters(ctx context.Context) (renewed int64, err error) {
	old, err := r.horizon(ctx, queue.DeadLetters)
	if err != nil || old.IsZero() {
		return 0, err
	}
	err = scan.Stream(ctx, r.JS, queue.DeadLetters, scan.Range{}, func(m scan.Message) error {
		if !m.Stored.Before(old) {
			return errYoung
		}
		ctx, cancel := context.WithTimeout(ctx, actTimeout)
		defer cancel()
		if err := r.Publisher.Again(ctx, queue.DeadLetters, m.Subject, fmt.Sprintf("renewed/%d", m.Sequence), m.Header, m.Body); err != nil {
			return err
		}
		if err := letters.Remove(ctx, r.JS, m.Sequence); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return fault.New(fault.Unavailable, fault.Queue, "remove a letter that was renewed", err)
		}
		renewed++
		return nil
	})
	if errors.Is(err, errYoung) {
		err = nil
	}
	return renewed, err
}
