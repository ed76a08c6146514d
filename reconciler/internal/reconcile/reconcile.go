// Package reconcile is a run of the reconciler, from the plan to the word in the log: what is new and still open, or whole
// inventories. A run that ends anywhere is repeated whole: what it had done is seen, and not done again.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
	"github.com/twinreel/twinreel/reconciler/internal/plan"
	"github.com/twinreel/twinreel/reconciler/internal/repair"
)

// Runner makes runs, one at a time. Its fields are set before and not changed.
type Runner struct {
	JS        jetstream.JetStream
	Publisher *queue.Publisher
	Planner   *plan.Planner
	Repairer  *repair.Repairer
	// Letters resolves the letters whose tier has its copy by now. nil: the daemon does.
	Letters func(ctx context.Context) error
	Every   time.Duration // how far back a first run of what is new looks
	By      string
	Now     func() time.Time
	Log     *zap.Logger
}

// Options say what a run is to do.
type Options struct {
	Scope         plan.Scope
	DryRun        bool   // nothing is sent, noted or freed
	Approve       string // the ID of a plan above the cap that may be carried out
	AcceptShorter bool   // a listing may be much shorter than the last run's
}

// Result is what a run came to. Close its plan.
type Result struct {
	Plan      *plan.Plan
	Repair    repair.Result
	Confirmed int64  // recordings that both tiers hold, as of now
	Remaining int64  // findings that need work which is not done
	Renewed   int64  // events and letters that would have left by age, and are owed again
	Through   uint64 // up to here in RECORDINGS that was looked at
	Took      time.Duration
}

// Run makes one run, and writes into the log what it came to, unless it is dry.
func (r *Runner) Run(ctx context.Context, o Options) (Result, error) {
	began := r.Now()
	last, err := r.Last(ctx)
	if err != nil {
		return Result{}, err
	}
	out, err := r.run(ctx, o, last)
	out.Took = r.Now().Sub(began)
	if o.DryRun || ctx.Err() != nil {
		return out, err
	}
	next := last.after(o, out, began, err)
	if aerr := r.tell(ctx, next, o, out, err); aerr != nil {
		err = errors.Join(err, aerr)
	}
	return out, err
}

func (r *Runner) run(ctx context.Context, o Options, last Memory) (out Result, err error) {
	if !o.DryRun { // whatever becomes of the rest: what leaves by age is gone
		if err := r.renew(ctx, last, &out); err != nil {
			return out, err
		}
	}
	if out.Plan, err = r.plan(ctx, o, last); err != nil {
		return out, err
	}
	if !o.DryRun {
		if out.Repair, err = r.Repairer.Carry(ctx, out.Plan, o.Approve); err != nil {
			return out, err
		}
	}
	out.Remaining, err = remaining(out.Plan, o.DryRun)
	if out.Remaining += out.Plan.Unjudged; err != nil || o.DryRun {
		return out, err
	}
	out.Remaining += out.Repair.Failed
	busy, err := r.Planner.Busy(ctx)
	if err != nil {
		return out, err
	}
	if out.Confirmed, err = r.Repairer.Confirm(ctx, busy); err != nil {
		return out, err
	}
	if r.Letters != nil {
		err = r.Letters(ctx)
	}
	return out, err
}

// renew sees to it that nothing leaves a stream by age while it is owed.
func (r *Runner) renew(ctx context.Context, last Memory, out *Result) error {
	floors, err := inventory.ReadFloors(ctx, r.JS)
	if err != nil {
		return err
	}
	var events int64
	out.Through, events, err = r.Repairer.RenewEvents(ctx, last.Renewed, floors)
	letters, lerr := r.Repairer.RenewLetters(ctx)
	out.Renewed = events + letters
	return errors.Join(err, lerr)
}

// plan makes the plan of a run of that scope.
func (r *Runner) plan(ctx context.Context, o Options, last Memory) (*plan.Plan, error) {
	if o.Scope == plan.New {
		return r.Planner.NewOnly(ctx, plan.Since{From: last.Cursor, Seen: last.Seen, Day: r.Every})
	}
	opts := plan.Options{Deep: o.Scope == plan.Deep, Turn: int(last.Turn)}
	if !o.AcceptShorter {
		opts.Last = plan.Last{Primary: last.Primary, Backup: last.Backup}
	}
	return r.Planner.Whole(ctx, opts)
}

// remaining counts the findings that need work which is not done. What was just noted as evidence needs none of ours.
func remaining(p *plan.Plan, dry bool) (n int64, err error) {
	for f, err := range p.Findings() {
		if err != nil {
			return 0, err
		}
		if f.Open() && (dry || f.Action != plan.Quarantine) {
			n++
		}
	}
	return n, nil
}

// tell writes into the log what the run came to, with what the next one has to know.
func (r *Runner) tell(ctx context.Context, m Memory, o Options, out Result, failed error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	counts := m.counts()
	reason := fmt.Sprintf("%s: ", o.Scope)
	if failed != nil {
		reason += "failed: " + fault.Text(failed)
	} else {
		reason += fmt.Sprintf("plan %s", out.Plan.ID)
		add := map[string]int64{
			"expected": out.Plan.Expected, "looked": out.Plan.Looked, "excused": out.Plan.Excused, "findings": int64(out.Plan.Len()), "sent": out.Repair.Sent,
			"quarantined": out.Repair.Noted, "confirmed": out.Confirmed, "unjudged": out.Plan.Unjudged, "unread": out.Plan.Unread, "failed": out.Repair.Failed, "held": out.Repair.Held, "remaining": out.Remaining, "owedAgain": out.Renewed,
		}
		for k, v := range add {
			counts[k] = v
		}
	}
	return r.Publisher.Audit(ctx, event.Audit{
		Kind: event.AuditRun, Tier: event.AuditAll, Time: r.Now(), Data: event.AuditData{Reason: strings.TrimSpace(reason), By: r.By, Counts: counts},
	})
}
