package worker

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/transfer"
)

// Rules of giving up.
const (
	heldDelay      = 5 * time.Second // another worker is at it
	versionWait    = 24 * time.Hour  // an event of a newer version waits so long for a newer program
	kindTries      = 3               // failures of one kind that suffice
	goneSpread     = 60              // times the retry base over which a link must have been gone
	maxRetryAfter  = 15 * time.Minute
	handBackReason = "drain"
)

// blame says what a failure means for the recording.
type blame struct {
	kind    queue.Reason // failures of this kind are counted by themselves, "" for none
	counted bool         // counts towards attempts_exhausted
	dead    queue.Reason // give up at once
	parked  bool         // the tier is to blame: it is handed back as if it had not been tried
}

// blameFor is where a fault's class and part become consequences. A sick store, network, ledger, agreement or audit log, a
// throttle and a denial never count against the recording.
func (w *Worker) blameFor(ctx context.Context, d queue.Delivery, e event.Event, err error) blame {
	class, part := fault.ClassOf(err), fault.PartOf(err)
	switch {
	case class == fault.Conflict:
		return blame{dead: queue.DigestConflict}
	case part == fault.Platform && class == fault.Denied:
		return blame{kind: queue.SourceDenied}
	case part == fault.Platform:
		return blame{counted: class != fault.Throttled && class != fault.Unavailable}
	case (part == fault.Source || part == fault.Sibling) && class == fault.SourceGone:
		return blame{kind: queue.SourceGone}
	case part == fault.Source && class == fault.Corrupt:
		return blame{kind: queue.SourceUnusable}
	case part == fault.Source && class == fault.Throttled:
		return blame{}
	case part == fault.Source && class == fault.Permanent:
		return blame{counted: true}
	case part == fault.Source:
		return blame{counted: w.hosts.servedSince(askedIn(ctx).host(), w.lastAttempt(ctx, d, e))}
	case refusal(err):
		if w.keeper.probe(ctx) == nil {
			return blame{kind: queue.StoreRefused}
		}
		return blame{parked: class == fault.Denied}
	case part == fault.Store && class == fault.Denied:
		return blame{parked: w.keeper.probe(ctx) != nil}
	case part == fault.Event, part == fault.Worker:
		return blame{counted: true}
	}
	return blame{}
}

// refusal reports whether the store refused what it was asked, which may be because of this one recording: a request that
// it never takes, or a 403. The other denials are of who we are, or of a bucket that is not there.
func refusal(err error) bool {
	return fault.Is(err, fault.Permanent, fault.Store) || fault.Is(err, fault.Denied, fault.Store) && fault.StatusOf(err) == http.StatusForbidden
}

// lastAttempt is when this message failed before, zero if it did not or nobody knows.
func (w *Worker) lastAttempt(ctx context.Context, d queue.Delivery, e event.Event) time.Time {
	a, err := w.copier.Ledger.Attempts(ctx, e.Data.IdempotencyKey, w.copier.Tier, message(d), "")
	if err != nil {
		return time.Time{}
	}
	return a.Previous
}

// judge turns a failed copy into the delivery's verdict.
func (w *Worker) judge(ctx context.Context, d queue.Delivery, e event.Event, err error) error {
	if ctx.Err() != nil {
		w.log(d, e).Info("handed back", zap.String("reason", handBackReason))
		return err
	}
	if errors.Is(err, transfer.ErrHeld) {
		w.metrics.deliveries.WithLabelValues(string(transfer.Duplicate)).Inc()
		w.log(d, e).Debug("another worker is at it", zap.Duration("again_in", heldDelay))
		return &queue.Later{After: heldDelay, Err: err}
	}
	if errors.Is(err, transfer.ErrAwaitsCopy) {
		return w.awaits(d, e, err)
	}
	if errors.Is(err, errShut) {
		return w.park(d, e, err)
	}
	if errors.Is(err, errHostDown) {
		return w.again(d, e, err, 1)
	}
	if errors.Is(err, transfer.ErrLinkExpired) && !e.Replayed() {
		return w.expired(ctx, d, e, err)
	}
	b := w.blameFor(ctx, d, e, err)
	if b.parked {
		return w.park(d, e, err)
	}
	if b.dead != "" {
		return w.bury(ctx, d, &e, b.dead, err, d.Count)
	}
	now := w.copier.Now()
	tried, lerr := w.copier.Ledger.Fail(ctx, e.Data.IdempotencyKey, w.copier.Tier, message(d), ledger.Failure{Counted: b.counted, Kind: string(b.kind), At: now})
	if lerr != nil {
		// Without counts nothing is given up; the server's own count still spaces the attempts.
		return w.again(d, e, err, d.Count)
	}
	if reason := w.exhausted(b, tried, fault.StatusOf(err), now); reason != "" {
		return w.bury(ctx, d, &e, reason, err, tried.Failed)
	}
	return w.again(d, e, err, tried.Failed)
}

// exhausted says for what reason the recording is given up after these attempts, "" to go on.
func (w *Worker) exhausted(b blame, tried ledger.Attempts, status int, now time.Time) queue.Reason {
	if b.kind != "" && tried.OfKind >= kindTries {
		spread := now.Sub(tried.FirstOf) >= goneSpread*w.config.Retry.Base
		if b.kind != queue.SourceGone || status == http.StatusGone || spread {
			return b.kind
		}
	}
	if b.counted && tried.Counted >= w.config.Work.MaxAttempts {
		return queue.AttemptsExhausted
	}
	return ""
}

// again hands the delivery back for the wait that follows its n-th failure, or longer where the other side asked for it; at
// once where others are better placed.
func (w *Worker) again(d queue.Delivery, e event.Event, err error, n int) error {
	after := max(w.config.Retry.Delay(n), min(fault.RetryAfterOf(err), maxRetryAfter))
	if fault.PartOf(err) == fault.Store {
		after = max(after, w.keeper.breaker.Remaining())
	}
	if w.keeper.elsewhere(err, n) {
		after = 0
	}
	w.metrics.deliveries.WithLabelValues(outcomeRetry).Inc()
	w.log(d, e).Warn("copy failed", zap.Stringer("fault", fault.ClassOf(err)), zap.String("part", string(fault.PartOf(err))),
		zap.Int("failures", n), zap.Duration("again_in", after), zap.String("error", fault.Text(err)))
	return &queue.Later{After: after, Err: err}
}

// park hands the delivery back because the tier takes nothing for now: uncounted, and not to come again before that may
// have changed, unless it is this worker alone that takes nothing.
func (w *Worker) park(d queue.Delivery, e event.Event, err error) error {
	after := max(w.config.Retry.Delay(1), min(fault.RetryAfterOf(err), maxRetryAfter), w.keeper.breaker.Remaining())
	if w.keeper.untouched() {
		after = 0
	}
	w.metrics.deliveries.WithLabelValues(outcomeParked).Inc()
	w.log(d, e).Info("handed back: the tier takes nothing for now", zap.Duration("again_in", after), zap.String("error", fault.Text(err)))
	return &queue.Later{After: after, Err: err}
}

// bury gives the event up: a last look whether the tier has the recording after all, the dead letter and its
// acknowledgement, the audit event and its acknowledgement. Only then is the original acknowledged, by the nil verdict.
func (w *Worker) bury(ctx context.Context, d queue.Delivery, e *event.Event, reason queue.Reason, cause error, tries int) error {
	var key string
	if e != nil {
		key = e.Data.IdempotencyKey
		res, found, err := w.copier.Settle(ctx, w.job(d, *e))
		switch {
		case found:
			w.well(ctx, d, *e, res, 0)
			return nil
		case fault.ClassOf(err) == fault.Conflict && err != nil:
			reason, cause = queue.DigestConflict, err
		case err != nil:
			return w.again(d, *e, err, d.Count)
		}
	}
	if err := w.letter(ctx, d, key, reason, cause, tries); err != nil {
		var named event.Event
		if e != nil {
			named = *e
		}
		return w.again(d, named, err, d.Count)
	}
	if e != nil {
		_ = w.copier.Ledger.Letter(ctx, key, w.copier.Tier, string(reason)) // the letter itself is the truth
	}
	w.metrics.deliveries.WithLabelValues(outcomeDead).Inc()
	w.metrics.dead.WithLabelValues(string(reason)).Inc()
	w.logger.Error("gave up: dead letter", zap.String("tier", w.copier.Tier.String()), zap.String("recording_id", key), zap.String("reason", string(reason)),
		zap.Uint64("sequence", d.Sequence), zap.Int("failures", tries), zap.String("error", fault.Text(cause)))
	return nil
}

func (w *Worker) letter(ctx context.Context, d queue.Delivery, key string, reason queue.Reason, cause error, tries int) error {
	now := w.copier.Now()
	trace := ""
	if v := d.Header["traceparent"]; len(v) > 0 {
		trace = v[0]
	}
	err := w.publisher.Letter(ctx, queue.Letter{
		Tier: w.copier.Tier, Body: d.Body, Reason: reason, Error: fault.Text(cause), Attempts: tries,
		OriginSubject: d.Subject, OriginStream: d.Stream, OriginSeq: d.Sequence, DeadAt: now, Traceparent: trace,
	})
	if err != nil {
		return err
	}
	return w.copier.Audit.Audit(ctx, event.Audit{
		Kind: event.AuditDead, Tier: w.copier.Tier.String(), Time: now,
		MsgID: event.DeliveryID(event.AuditDead, w.copier.Tier.String(), d.Stream, d.Sequence),
		Data:  event.AuditData{Tier: w.copier.Tier.String(), IdempotencyKey: key, Reason: string(reason)},
	})
}
