package letters

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
)

// Discard removes a group's letters for good, each only after the audit log has acknowledged who discarded it, and why.
// A letter that is gone meanwhile was dealt with by somebody else. When it returns an error, those not removed can be
// discarded again.
func (r *Replayer) Discard(ctx context.Context, g Group, why string) error {
	var going []uint64
	for _, l := range g.Letters {
		going = append(going, l.Sequence)
	}
	if err := r.giveUp(ctx, g.Shown(), why); err != nil {
		return fmt.Errorf("discard dead letters of %s (repeat the command): %w", g.Shown().Tier, err)
	}
	restore := r.note(ctx, g, going)
	for _, l := range g.Letters {
		if err := r.discard(ctx, l, why); err != nil {
			restore()
			return fmt.Errorf("discard dead letter %d of %s (repeat the command): %w", l.Sequence, l.Tier, err)
		}
	}
	return nil
}

// giveUp has no run of the reconciler fetch again what is given up here, unless the platform sends it once more. A letter of
// an event that contradicts what was agreed on gives up the event only: the recording is still owed.
func (r *Replayer) giveUp(ctx context.Context, l Letter, why string) error {
	if l.IdempotencyKey == "" || l.Reason == queue.DigestConflict {
		return nil
	}
	return r.GivenUp(ctx, l, why)
}

func (r *Replayer) discard(ctx context.Context, l Letter, why string) error {
	if err := r.Rate.Wait(ctx); err != nil {
		return err
	}
	stream, err := r.JS.Stream(ctx, queue.DeadLetters)
	if err != nil {
		return err
	}
	if _, err := stream.GetMsg(ctx, l.Sequence); errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	err = r.Publisher.Audit(ctx, event.Audit{
		Kind: event.AuditDiscarded, Tier: l.Tier.String(), Time: r.Now(),
		MsgID: event.DeliveryID(event.AuditDiscarded, l.Tier.String(), queue.DeadLetters, l.Sequence),
		Data: event.AuditData{
			Tier: l.Tier.String(), IdempotencyKey: l.IdempotencyKey, ObjectKey: l.ObjectKey, Reason: why, By: r.By,
		},
	})
	if err != nil {
		return err
	}
	return Remove(ctx, r.JS, l.Sequence)
}
