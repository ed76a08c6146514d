package worker

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/tier/breaker"
)

// wellView is a view of a store that is well, cutView one of a store that cannot be reached.
var (
	wellView = tier.View{State: tier.Healthy, Weight: 1}
	cutView  = tier.View{State: tier.Degraded}
)

func TestOthersAreWellAsTheBoardSays(t *testing.T) {
	views := func(all map[string]tier.View) tier.Standing { return tier.Standing{Views: all} }
	for name, c := range map[string]struct {
		standing tier.Standing
		want     bool
	}{
		"nobody else":             {views(map[string]tier.View{"instance-1": wellView}), false},
		"another is well":         {views(map[string]tier.View{"instance-1": cutView, "instance-2": wellView}), true},
		"another is slow":         {views(map[string]tier.View{"instance-2": {State: tier.Healthy, Weight: 0.5}}), true},
		"another's is degraded":   {views(map[string]tier.View{"instance-1": wellView, "instance-2": cutView}), false},
		"another's breaker":       {views(map[string]tier.View{"instance-2": {State: tier.Healthy, Weight: 0}}), false},
		"another is parked":       {views(map[string]tier.View{"instance-2": {State: tier.Parked}}), false},
		"one of several is well":  {views(map[string]tier.View{"instance-2": cutView, "instance-3": wellView}), true},
		"the tier is paused":      {tier.Standing{Views: map[string]tier.View{"instance-2": wellView}, Pause: &tier.Pause{}}, false},
		"the board tells nothing": {tier.Standing{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			k, _ := kept()
			tell := newTeller(k, &boards{}, func() queue.Standings { return queue.Standings{tier.Primary: c.standing} })
			tell.read()
			if got := k.others.Load(); got != c.want {
				t.Errorf("others are well: %t, want %t", got, c.want)
			}
		})
	}
}

// given a worker of several, when a delivery fails, then it is handed back at once only where another can do better with it.
func TestWhatOthersCanDoIsHandedBackAtOnce(t *testing.T) {
	unavailable := storeFault(fault.Unavailable, http.StatusInternalServerError)
	asksForPeace := fault.New(fault.Unavailable, fault.Store, "put", errBroken)
	asksForPeace.RetryAfter = time.Second
	for name, c := range map[string]struct {
		alone bool
		err   error
		n     int
		open  bool // the breaker is
		want  bool
	}{
		"the first failure":                            {err: unavailable, n: 1, want: true},
		"as often as makes degraded":                   {err: unavailable, n: 3, want: true},
		"more often, and it may come to us again":      {err: unavailable, n: 4},
		"more often, and we pull nothing":              {err: unavailable, n: 40, open: true, want: true},
		"alone":                                        {alone: true, err: unavailable, n: 1},
		"alone, and we pull nothing":                   {alone: true, err: unavailable, n: 1, open: true},
		"the store throttles all":                      {err: throttle(0), n: 1, open: true},
		"the store is sick, and asks for peace":        {err: asksForPeace, n: 1, open: true},
		"the store refuses this one":                   {err: storeFault(fault.Permanent, http.StatusBadRequest), n: 1},
		"the source is away":                           {err: sourceFault(fault.Unavailable, http.StatusBadGateway), n: 1},
		"the source is away, and the store is as well": {err: sourceFault(fault.Unavailable, http.StatusBadGateway), n: 1, open: true},
		"nobody could agree":                           {err: fault.New(fault.Unavailable, fault.Agreement, "agree", errBroken), n: 1},
	} {
		t.Run(name, func(t *testing.T) {
			k, _ := kept()
			k.others.Store(!c.alone)
			if c.open {
				for range 3 {
					k.breaker.Failed()
				}
			}
			if got := k.elsewhere(c.err, c.n); got != c.want {
				t.Errorf("handed back at once: %t, want %t", got, c.want)
			}
			if got := k.untouched(); got != (c.open && !c.alone) {
				t.Errorf("what was not begun is handed back at once: %t", got)
			}
		})
	}
}

// given a worker whose store is cut and another that is well, when it fails again and again, then no wait is made of it; alone
// it waits.
func TestACutOffWorkerMakesNobodyWait(t *testing.T) {
	b := newBed(t, "test12", func(c *Config) { c.Breaker = breaker.Config{Failures: 3, Open: time.Minute} })
	breaks(b.store, storeFault(fault.Unavailable, http.StatusServiceUnavailable))
	b.keeper.others.Store(true)
	for n := 1; n <= 20; n++ {
		if after := b.fails(b.delivery(uint64(n), 1)); after != 0 {
			t.Errorf("delivery %d waits for %s", n, after)
		}
	}
	if b.outcome(outcomeRetry) != 3 || b.outcome(outcomeParked) != 17 || b.open().Slots != 0 {
		t.Errorf("retry %v, parked %v, open %+v: want three failures and nothing begun after them", b.outcome(outcomeRetry), b.outcome(outcomeParked), b.open())
	}
	b.keeper.others.Store(false)
	if after := b.fails(b.delivery(21, 1)); after < 50*time.Second {
		t.Errorf("alone it waits for %s, want the breaker's time", after)
	}
}

// given two workers of a tier, when one is cut off from the store, then the other stores everything, and no message waits for a
// timer of an hour.
func TestTheOtherWorkerTakesOver(t *testing.T) {
	hours := func(c *Config) {
		quick(c)
		c.Retry = queue.Schedule{Base: time.Hour, Cap: time.Hour}
		c.Breaker.Open = time.Hour
	}
	cut, well := newBed(t, "test15", hours), newBed(t, "test15", hours)
	well.keeper.instance = "instance-2"
	board := queue.NewBoard(cut.nc, cut.js)
	cut.works(board)
	well.works(board)
	cut.until("each knows that the other is well", func() bool { return cut.keeper.others.Load() && well.keeper.others.Load() })
	breaks(cut.store, storeFault(fault.Unavailable, http.StatusServiceUnavailable))
	cut.publishes(0, 60)
	cut.until("all is stored", func() bool { i := cut.consumer(); return i.NumPending == 0 && i.NumAckPending == 0 })
	cut.until("the board says who stepped aside", func() bool {
		s, err := board.Read(context.WithoutCancel(t.Context()))
		v := s[tier.Primary].Views
		return err == nil && v["instance-1"].Weight == 0 && v["instance-2"].Weight == 1 && s[tier.Primary].Weight() == 0.5
	})
	if stored := well.outcome("stored"); stored != 60 || cut.outcome(outcomeRetry) == 0 {
		t.Errorf("the other stored %v of 60; the one that was cut off failed %v times: it was not felt", stored, cut.outcome(outcomeRetry))
	}
	if n := cut.outcome(outcomeRetry) + cut.outcome(outcomeParked); n > 200 {
		t.Errorf("%v deliveries went through the one that was cut off: they go round and round", n)
	}
	cut.alive()
}

// given two workers of a tier, when the store is sick for both, then what fails does not go round between them.
func TestAStoreThatIsSickForAllIsLeftAlone(t *testing.T) {
	one, two := newBed(t, "test15", quick), newBed(t, "test15", quick)
	two.keeper.instance = "instance-2"
	board := queue.NewBoard(one.nc, one.js)
	one.works(board)
	two.works(board)
	one.until("each knows that the other is well", func() bool { return one.keeper.others.Load() && two.keeper.others.Load() })
	for _, b := range []*bed{one, two} {
		breaks(b.store, storeFault(fault.Unavailable, http.StatusServiceUnavailable))
	}
	one.publishes(0, 60)
	one.until("nobody says that it is well", func() bool { return !one.keeper.others.Load() && !two.keeper.others.Load() })
	for _, b := range []*bed{one, two} {
		if n := b.outcome(outcomeRetry) + b.outcome(outcomeParked); n > 400 {
			t.Errorf("%s handed back %v deliveries", b.keeper.instance, fmt.Sprint(n))
		}
		b.store.Heal()
	}
	one.until("all is stored", func() bool { i := one.consumer(); return i.NumPending == 0 && i.NumAckPending == 0 })
	one.alive()
}
