package worker

import (
	"context"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
)

// linkExpired is the outcome, and the audited reason, of a redrive whose link to the sibling's copy was past its time.
const linkExpired = "link_expired"

// expired ends a redrive that came too late: nothing is wrong with the recording, nothing counts, and waiting would not
// help. After a last look whether the tier has it, the audit log says so, and the redrive is acknowledged: the
// reconciler's next run, or the letter that is still open, plans anew. A replay does not end here: its letter is gone, and
// what it still carries is the link of a redrive before it, so it is counted as any source that is gone.
func (w *Worker) expired(ctx context.Context, d queue.Delivery, e event.Event, cause error) error {
	res, found, err := w.copier.Settle(ctx, w.job(d, e))
	switch {
	case found:
		w.well(ctx, d, e, res, 0)
		return nil
	case err != nil:
		return w.judge(ctx, d, e, err)
	}
	t := w.copier.Tier.String()
	if err := w.copier.Audit.Audit(ctx, event.Audit{
		Kind: event.AuditRedriven, Tier: t, Time: w.copier.Now(), MsgID: event.DeliveryID(event.AuditRedriven, t, d.Stream, d.Sequence),
		Data: event.AuditData{Tier: t, IdempotencyKey: e.Data.IdempotencyKey, ObjectKey: e.Data.ObjectKey, Reason: linkExpired},
	}); err != nil {
		return w.again(d, e, err, d.Count)
	}
	w.metrics.deliveries.WithLabelValues(linkExpired).Inc()
	w.log(d, e).Warn("a redrive came too late; the next run plans anew", zap.String("reason", linkExpired), zap.String("error", fault.Text(cause)))
	return nil
}
