package daemon

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
	"github.com/twinreel/twinreel/reconciler/internal/plan"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
	"github.com/twinreel/twinreel/reconciler/internal/reconcile"
)

// buildAgain is the wait before the parts of a run are put together again, where a bucket is not there yet.
const buildAgain = 2 * time.Second

// Reconciling is what the settings say of runs. doubt is told what the log claims of a recording and cannot prove.
func Reconciling(c config.Reconcile, keep config.Retention, r config.Repair, log *audit.Log, doubt func(key string, err error)) reconcile.Parts {
	return reconcile.Parts{
		Rules: plan.Rules{Grace: c.Grace, Retention: time.Duration(keep.Days) * 24 * time.Hour, Resolver: c.Resolver != ""},
		Every: c.Full, Rate: r.Rate, Sealed: reconcile.Sealed(log), Proven: reconcile.Proven(log, doubt),
	}
}

// reconcile makes runs when they are due, until ctx ends.
func (p *parts) reconcile(ctx context.Context) {
	for ctx.Err() == nil {
		err := p.runs(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		p.Log.Warn("runs cannot begin yet", zap.String("error", fault.Text(err)))
		select {
		case <-ctx.Done():
		case <-time.After(buildAgain):
		}
	}
}

// doubt tells of what the sealed log claims of a recording and cannot prove.
func doubt(log *zap.Logger) func(key string, err error) {
	return func(key string, err error) {
		log.Error("what the sealed log claims of a recording is not proven, and counts for nothing: run audit verify", zap.String("recording_id", key),
			zap.String("error", fault.Text(err)))
	}
}

// runs puts together what runs are made by, and makes them.
func (p *parts) runs(ctx context.Context) error {
	keys, err := p.config.Audit.Keys()
	if err != nil {
		return err
	}
	log := &audit.Log{Stores: p.stores, Keys: keys, Aside: func(err error) {
		p.Log.Error("a part of the sealed log is left out", zap.String("error", fault.Text(err)))
	}}
	build := Reconciling(p.config.Reconcile, p.config.Retention, p.config.Repair, log, doubt(p.Log))
	build.NC, build.JS, build.Peer, build.Stores, build.By, build.Log = p.nc, p.js, p.config.NATS.Peer, p.stores, "reconciler", p.Log
	build.Progress = p.status.Tell
	runner, err := reconcile.New(ctx, build)
	if err != nil {
		return err
	}
	book, err := quarantine.Open(ctx, p.js)
	if err != nil {
		return err
	}
	stones, err := erasure.Open(ctx, p.js)
	if err != nil {
		return err
	}
	begun := false // tombstones are known to be there, since this instance leads
	s := reconcile.Schedule{
		Runner: runner, Interval: p.config.Reconcile.Interval, Full: p.config.Reconcile.Full, Metrics: p.numbers, Status: &p.status, Log: p.Log,
		Before: func(ctx context.Context, scope plan.Scope) error {
			if scope == plan.New && begun {
				return nil // the whole roster is read for it
			}
			made, err := reconcile.Refill(ctx, stones, log, doubt(p.Log))
			if made > 0 {
				p.Log.Error("tombstones were lost; they are made again from the audit log", zap.Int("made", made))
			}
			begun = err == nil
			return err
		},
	}
	go p.numbers.CountQuarantine(ctx, book, p.Log)
	s.Run(ctx)
	return nil
}
