package worker

import (
	"context"
	"errors"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/tier"
)

// notebook is the ledger as the workers reach it: each call is a step.
type notebook struct {
	ledger.Ledger
	model *model
}

func (n notebook) step(ctx context.Context, op, id string, effect func() error) error {
	lost := fault.New(fault.Unavailable, fault.Ledger, op+" "+id, errors.New("no answer came"))
	return n.model.step(ctx, seam{op: "ledger " + op, key: id, effect: effect, lost: lost})
}

// Claim implements ledger.Ledger.
func (n notebook) Claim(ctx context.Context, id string, t tier.Tier) (c ledger.Claim, err error) {
	err = n.step(ctx, "claim", id, func() (e error) { c, e = n.Ledger.Claim(context.WithoutCancel(ctx), id, t); return e })
	if err != nil {
		return ledger.Claim{}, err
	}
	if c.Lease != nil {
		handOf(ctx).claimed = true
		c.Lease = &lease{notebook: n, Lease: c.Lease, id: id}
	}
	return c, nil
}

// Finished implements ledger.Ledger.
func (n notebook) Finished(ctx context.Context, id string, t tier.Tier, c ledger.Copy) (r ledger.Record, err error) {
	err = n.step(ctx, "finished", id, func() (e error) { r, e = n.Ledger.Finished(context.WithoutCancel(ctx), id, t, c); return e })
	return r, err
}

// Fail implements ledger.Ledger.
func (n notebook) Fail(ctx context.Context, id string, t tier.Tier, m ledger.Message, f ledger.Failure) (a ledger.Attempts, err error) {
	err = n.step(ctx, "fail", id, func() (e error) { a, e = n.Ledger.Fail(context.WithoutCancel(ctx), id, t, m, f); return e })
	return a, err
}

// Attempts implements ledger.Ledger.
func (n notebook) Attempts(ctx context.Context, id string, t tier.Tier, m ledger.Message, kind string) (a ledger.Attempts, err error) {
	err = n.step(ctx, "attempts", id, func() (e error) {
		a, e = n.Ledger.Attempts(context.WithoutCancel(ctx), id, t, m, kind)
		return e
	})
	return a, err
}

// Letter implements ledger.Ledger.
func (n notebook) Letter(ctx context.Context, id string, t tier.Tier, reason string) error {
	return n.step(ctx, "letter", id, func() error { return n.Ledger.Letter(context.WithoutCancel(ctx), id, t, reason) })
}

// lease is a claim whose calls are steps.
type lease struct {
	notebook
	ledger.Lease
	id string
}

// Renew implements ledger.Lease. It is let through at once, unless the process is frozen: else most leases would lapse.
func (l *lease) Renew(ctx context.Context) error {
	h := handOf(ctx)
	if h.process.frozen.Load() {
		return l.step(ctx, "renew", l.id, func() error { return l.Lease.Renew(context.WithoutCancel(ctx)) })
	}
	l.model.mu.Lock()
	h.checked = true
	l.model.mu.Unlock()
	return l.Lease.Renew(ctx)
}

// Opened implements ledger.Lease.
func (l *lease) Opened(ctx context.Context, uploadID string) error {
	return l.step(ctx, "opened", l.id, func() error {
		err := l.Lease.Opened(context.WithoutCancel(ctx), uploadID)
		if err == nil {
			l.model.noted(handOf(ctx).process.tier, uploadID)
		}
		return err
	})
}

// Finish implements ledger.Lease.
func (l *lease) Finish(ctx context.Context, c ledger.Copy) (r ledger.Record, err error) {
	err = l.step(ctx, "finish", l.id, func() (e error) { r, e = l.Lease.Finish(context.WithoutCancel(ctx), c); return e })
	return r, err
}

// Release implements ledger.Lease.
func (l *lease) Release(ctx context.Context, closed bool) error {
	return l.step(ctx, "release", l.id, func() error { return l.Lease.Release(context.WithoutCancel(ctx), closed) })
}
