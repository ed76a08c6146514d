package transfer

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
)

// Time-outs of what is done after the work's own context may have ended.
const (
	tidyTimeout  = 10 * time.Second
	checkTimeout = 3 * time.Second
)

// hold is the claim on a recording while a copy runs. Where the ledger does not answer it is empty, and the copy goes on
// without: agreement and conditional create still keep two workers from doing harm.
type hold struct {
	ctx    context.Context // ends when the lease is lost
	lose   context.CancelCauseFunc
	copier *Copier
	job    Job
	lease  ledger.Lease // nil without a claim
	done   bool         // the ledger says that the tier has the recording
	closed bool         // no upload is left open
	ended  chan struct{}
}

// claim takes the claim, keeps the lease alive, and aborts the upload that an earlier holder left. ErrHeld.
func (c *Copier) claim(ctx context.Context, job Job) (*hold, error) {
	id := job.Event.Data.IdempotencyKey
	h := &hold{copier: c, job: job, closed: true, ended: make(chan struct{})}
	got, err := c.Ledger.Claim(ctx, id, c.Tier)
	switch {
	case err != nil:
		c.Log.Debug("no claim: the ledger does not answer", zap.String("recording_id", id), zap.String("error", fault.Text(err)))
	case got.State == ledger.Held:
		return nil, fault.New(fault.Transient, fault.Ledger, "claim "+id, ErrHeld)
	case got.State == ledger.Done:
		h.done = true
	default:
		h.lease = got.Lease
	}
	h.ctx, h.lose = context.WithCancelCause(ctx)
	go h.keep(h.lease)
	if err := c.abandon(h.ctx, job.Event.Data.ObjectKey, got.Orphan); err != nil {
		h.closed = false
		h.end()
		return nil, err
	}
	return h, nil
}

// abandon aborts the upload that an earlier holder left, if there is one. While the store is away that waits, since it
// would be forgotten with the next upload. A refusal costs storage for a while (the bucket's lifecycle gets it), not safety.
func (c *Copier) abandon(ctx context.Context, key, orphan string) error {
	if orphan == "" {
		return nil
	}
	err := c.Store.Abandon(ctx, key, orphan)
	switch fault.ClassOf(err) {
	case fault.Denied, fault.Permanent:
		c.Log.Warn("an orphaned upload could not be aborted; the bucket's lifecycle rule will get it", zap.String("tier", c.Tier.String()),
			zap.String("object_key", key), zap.String("error", fault.Text(err)))
		return nil
	}
	return err
}

// keep renews the lease until the hold ends, and ends the work once the lease is lost.
func (h *hold) keep(lease ledger.Lease) {
	defer close(h.ended)
	if lease == nil {
		return
	}
	tick := time.NewTicker(ledger.RenewEvery)
	defer tick.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-tick.C:
			if err := lease.Renew(h.ctx); errors.Is(err, ledger.ErrLost) {
				h.lose(lost(h.job))
				return
			}
		}
	}
}

func lost(job Job) error {
	return fault.New(fault.Transient, fault.Ledger, "keep the claim of "+job.Event.Data.IdempotencyKey, ledger.ErrLost)
}

// check makes sure, just before the commit, that the lease is still ours. A ledger that does not answer is no hindrance.
func (h *hold) check(ctx context.Context) error {
	if h.ctx.Err() != nil {
		return h.cause(h.ctx.Err())
	}
	if h.lease == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if err := h.lease.Renew(ctx); errors.Is(err, ledger.ErrLost) {
		return lost(h.job)
	}
	return nil
}

// opened notes the upload for the next holder, should this process die.
func (h *hold) opened(ctx context.Context, uploadID string) error {
	h.closed = uploadID == ""
	if h.lease == nil || uploadID == "" {
		return nil
	}
	if err := h.lease.Opened(ctx, uploadID); errors.Is(err, ledger.ErrLost) {
		return lost(h.job)
	}
	return nil
}

// finish writes the copy into the ledger; nil when it did not answer. The copy is proven, whatever the ledger thinks of
// the lease by now.
func (h *hold) finish(ctx context.Context, copied ledger.Copy) *ledger.Record {
	c := h.copier
	var record ledger.Record
	err := ledger.ErrLost
	if h.lease != nil {
		if record, err = h.lease.Finish(ctx, copied); err == nil {
			h.lease = nil
		}
	}
	if errors.Is(err, ledger.ErrLost) {
		record, err = c.Ledger.Finished(ctx, h.job.Event.Data.IdempotencyKey, c.Tier, copied)
	}
	if err != nil {
		c.Log.Debug("copy not noted: the ledger does not answer", zap.String("recording_id", h.job.Event.Data.IdempotencyKey), zap.String("error", fault.Text(err)))
		return nil
	}
	return &record
}

// cause returns the loss of the lease where that is why err happened, else err.
func (h *hold) cause(err error) error {
	if err == nil {
		return nil
	}
	if reason := context.Cause(h.ctx); reason != nil && errors.Is(reason, ledger.ErrLost) {
		return reason
	}
	return err
}

// end frees the claim, unless it is done, so that the next to come need not wait for the lease to lapse.
func (h *hold) end() {
	h.lose(context.Canceled)
	<-h.ended
	if h.lease == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.ctx), checkTimeout)
	defer cancel()
	_ = h.lease.Release(ctx, h.closed) // not released it lapses
}
