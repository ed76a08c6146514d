package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/observed"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/tier/breaker"
	"github.com/twinreel/twinreel/pkg/transfer"
)

// keeper knows how the tier's store does and lets the worker do no more than that bears. It is told of every call of the
// store, makes the probe writes, tells the board, and says how much may be pulled.
type keeper struct {
	config   Health
	tier     tier.Tier
	instance string
	slots    int
	store    objstore.Writer // the tier's, whose every call passes through this keeper
	health   *tier.Health
	breaker  *breaker.Breaker
	offPeak  offPeak
	requests *requests // nil: the rate is not held
	audit    transfer.Auditor
	now      func() time.Time
	log      *zap.Logger

	unheard atomic.Bool // the board has not been read yet, so that nobody knows whether the tier is paused
	paused  atomic.Pointer[tier.Pause]
	others  atomic.Bool  // another worker of the tier says that it is well
	inHand  atomic.Int32 // recordings
	flight  singleflight.Group

	mu     sync.Mutex
	probed error // what came of the latest probe write
}

// errShut is the cause of a hand-back that no recording and no call of the store is to blame for.
var errShut = errors.New("nothing is begun in this tier for now")

// newKeeper returns the keeper of a store, which is to be used by keeper.store from then on. The settings have been checked.
func newKeeper(c Config, t tier.Tier, instance string, store objstore.Writer, audit transfer.Auditor, now func() time.Time, log *zap.Logger) *keeper {
	off, _ := parseOffPeak(c.Health.OffPeak)
	k := &keeper{
		config: c.Health, tier: t, instance: instance, slots: c.Work.Concurrency,
		health:  tier.NewHealth(tier.Rules{DegradedAfter: c.Health.DegradedAfter, ProbeInterval: c.Health.ProbeInterval}, now()),
		breaker: breaker.New(c.Breaker), offPeak: off, audit: audit, now: now, log: log,
	}
	k.store = observed.Wrap(store, k)
	return k
}

// Before implements observed.Observer: it holds the rate, and keeps media from being begun while the breaker is open.
// What was begun goes on: to throw it away would cost the store more requests, not fewer.
func (k *keeper) Before(ctx context.Context, c observed.Call) error {
	probe := c.Key == objstore.ProbeKey
	if c.Kind == observed.Begins && !probe {
		if err := k.shut(); err != nil {
			return err
		}
	}
	if k.requests == nil {
		return nil
	}
	return k.requests.take(ctx, probe || c.Kind == observed.CleansUp)
}

// Failed implements observed.Observer.
func (k *keeper) Failed(_ observed.Call, err error) {
	class, after := fault.ClassOf(err), fault.RetryAfterOf(err)
	if class == fault.Throttled || class == fault.Unavailable && after > 0 { // both ask for peace
		k.breaker.Throttled(after)
	}
	if class == fault.Unavailable {
		k.breaker.Failed()
		k.health.Failed(k.now(), brief(err))
	}
}

// Wrote implements observed.Observer.
func (k *keeper) Wrote(observed.Call) {
	k.breaker.Wrote()
	k.health.Wrote()
}

// brief says what kind of failure err is, without naming a recording.
func brief(err error) string {
	if status := fault.StatusOf(err); status != 0 {
		return fmt.Sprintf("%s, status %d", fault.ClassOf(err), status)
	}
	return fault.ClassOf(err).String()
}

// shut returns a fault while nothing is to be begun: the breaker is open, or the tier is parked. It says for how long, as
// far as that is known.
func (k *keeper) shut() error {
	var f *fault.Error
	switch {
	case k.breaker.State() == breaker.Open:
		f = fault.New(fault.Throttled, fault.Store, "the breaker is open", errShut)
		f.RetryAfter = k.breaker.Remaining()
	case k.health.View(k.now()).State == tier.Parked:
		f = fault.New(fault.Denied, fault.Store, "the tier is parked", errShut)
		f.RetryAfter = k.config.ProbeInterval
	default:
		return nil
	}
	return f
}

// view is how this worker sees its store, the breaker included: what it keeps from being pulled must not be routed here.
func (k *keeper) view() tier.View {
	v := k.health.View(k.now())
	if v.State != tier.Healthy {
		return v
	}
	switch k.breaker.State() {
	case breaker.Open:
		v.Weight, v.Reason = 0, "the breaker is open"
	case breaker.HalfOpen:
		v.Weight, v.Reason = min(v.Weight, 0.5), "the breaker is half-open"
	}
	return v
}

// allowance is how much may be pulled now (the contract's table of lanes).
func (k *keeper) allowance() queue.Allowance {
	v := k.view()
	n := k.breaker.Slots(k.slots)
	if k.unheard.Load() || k.paused.Load() != nil || v.State == tier.Parked || n == 0 {
		return queue.Allowance{}
	}
	if v.State == tier.Degraded {
		return queue.Allowance{Slots: 1, Backfill: 1} // live first
	}
	a := queue.Allow(n)
	switch {
	case v.Weight < 1:
		a.Backfill = a.Beside
	case k.offPeak.contains(k.now()):
		a.Beside = (a.Slots + 1) / 2 // half, and what live leaves over: every free slot, and neither starves
	}
	return a
}
