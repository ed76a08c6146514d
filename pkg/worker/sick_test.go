package worker

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/tier/breaker"
)

// attempts is what the ledger counts against the message.
func (b *bed) attempts(id string, seq uint64) ledger.Attempts {
	b.t.Helper()
	a, err := b.ledger.Attempts(b.t.Context(), id, tier.Primary, ledger.Message{Stream: queue.Recordings, Sequence: seq}, "")
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func (b *bed) outcome(name string) float64 {
	return testutil.ToFloat64(b.metrics.deliveries.WithLabelValues(name))
}

func TestADeniedTierIsParkedAndNothingIsCounted(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound} { // the last: no such bucket
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			b := newBed(t, "test12")
			breaks(b.store, storeFault(fault.Denied, status))
			for n := 1; n <= 20; n++ {
				b.fails(b.delivery(1, n))
				b.clock.move(time.Hour)
			}
			b.alive()
			if v := b.keeper.view(); v.State != tier.Parked || b.open().Slots != 0 {
				t.Errorf("view %+v", v)
			}
			if a := b.attempts("rec-1", 1); a.Failed != 0 || b.outcome(outcomeParked) != 20 || b.outcome(outcomeRetry) != 0 {
				t.Errorf("counted %+v, parked %v, retry %v", a, b.outcome(outcomeParked), b.outcome(outcomeRetry))
			}
			if n := b.store.Calls(memstore.Put); n != 1 {
				t.Errorf("%d puts: a parked tier begins nothing", n)
			}
			b.store.Heal()
			if err := b.keeper.probe(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.ends(b.delivery(1, 21))
		})
	}
}

func TestADenialOfOneRecordingAloneIsItsOwn(t *testing.T) {
	b := newBed(t, "test12")
	b.store.Before(memstore.Put, memstore.Always(storeFault(fault.Denied, http.StatusForbidden)))
	b.fails(b.delivery(1, 1))
	b.fails(b.delivery(1, 2))
	if b.keeper.view().State != tier.Healthy {
		t.Errorf("view %+v", b.keeper.view())
	}
	b.ends(b.delivery(1, 3))
	b.dead(queue.StoreRefused)
}

// S3 answers 403 to a look for what is not there where the bucket may not be listed.
func TestAStoreThatMayNotBeLookedIntoIsParkedAndNothingIsGivenUp(t *testing.T) {
	b := newBed(t, "test12")
	for _, op := range []memstore.Op{memstore.Stat, memstore.ReadSidecar} {
		b.store.Before(op, memstore.Always(storeFault(fault.Denied, http.StatusForbidden)))
	}
	for n := 1; n <= 6; n++ {
		b.fails(b.delivery(1, n))
	}
	b.alive()
	if v := b.keeper.view(); v.State != tier.Parked {
		t.Errorf("view %+v", v)
	}
}

func TestAPassingDenialOfWhoWeAreIsNoRecordingsFault(t *testing.T) {
	b := newBed(t, "test13")
	b.store.Before(memstore.Put, memstore.Always(storeFault(fault.Denied, http.StatusUnauthorized)))
	for n := 1; n <= 20; n++ {
		b.fails(b.delivery(1, n))
	}
	b.alive()
}

func TestAnOpenBreakerHandsBackUntouchedForAsLongAsItIsOpen(t *testing.T) {
	b := newBed(t, "test13", func(c *Config) { c.Breaker = breaker.Config{Failures: 3, Open: time.Minute} })
	breaks(b.store, throttle(5*time.Minute))
	if after := b.fails(b.delivery(1, 1)); after < 4*time.Minute {
		t.Errorf("what met the throttle comes again in %s", after)
	}
	fetched := b.source.opened()
	for n := 2; n <= 20; n++ {
		if after := b.fails(b.delivery(1, n)); after < 4*time.Minute {
			t.Errorf("delivery %d comes again in %s", n, after)
		}
	}
	b.alive()
	if n := b.source.opened(); n != fetched {
		t.Errorf("fetched %d times with the breaker open", n-fetched)
	}
	if a := b.attempts("rec-1", 1); a.Failed != 1 || a.Counted != 0 {
		t.Errorf("counted %+v", a)
	}
	if b.outcome(outcomeParked) != 19 || b.open().Slots != 0 {
		t.Errorf("parked %v, open %+v", b.outcome(outcomeParked), b.open())
	}
}

// works runs the worker on its queue, with everything beside it, until the test ends.
func (b *bed) works(board *queue.Board) {
	b.t.Helper()
	b.keeper.now = time.Now
	watcher := queue.NewWatcher(board, b.logger)
	tell := newTeller(b.keeper, board, watcher.Standings)
	ctx, stop := context.WithCancel(context.WithoutCancel(b.t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.consume(ctx, context.WithoutCancel(ctx), b.js, watcher.Run, tell.run)
	}()
	b.t.Cleanup(func() { stop(); <-ended })
}

// publishes sends so many recordings to both tiers.
func (b *bed) publishes(from, n int) {
	b.t.Helper()
	for i := range n {
		e := event.New(event.Data{
			RecordingID: fmt.Sprintf("rec-%d", from+i), Source: event.DefaultSource, Participants: []event.Participant{},
			Media: event.Media{URL: "https://cdn.example.com/m", Format: "wav"},
		}, "ev", time.Now())
		if _, err := b.publisher.Completed(b.t.Context(), queue.Both, e, ""); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bed) consumer() *jetstream.ConsumerInfo {
	b.t.Helper()
	c, err := b.js.Consumer(b.t.Context(), queue.Recordings, queue.ConsumerName(tier.Primary, queue.Live))
	if err != nil {
		b.t.Fatal(err)
	}
	return c.CachedInfo()
}

func (b *bed) until(what string, ok func() bool) {
	b.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			b.t.Fatalf("waited in vain for: %s; view %+v, breaker %s, %+v", what, b.keeper.view(), b.keeper.breaker.State(), b.consumer())
		}
		<-time.After(10 * time.Millisecond)
	}
}

// quick makes everything that waits wait less.
func quick(c *Config) {
	c.Retry = queue.Schedule{Base: 50 * time.Millisecond, Cap: 200 * time.Millisecond}
	c.Breaker = breaker.Config{Failures: 3, Open: 300 * time.Millisecond}
	c.Health = Health{DegradedAfter: 3, ProbeInterval: 100 * time.Millisecond}
}

func TestASickStoreLeavesTheBacklogInTheStreamAndIsTakenUpByItself(t *testing.T) {
	for name, c := range map[string]struct {
		fault error
		state tier.State
	}{
		"unavailable": {storeFault(fault.Unavailable, http.StatusInternalServerError), tier.Degraded},
		"throttles":   {throttle(2 * time.Second), tier.Healthy},
		"denies":      {storeFault(fault.Denied, http.StatusForbidden), tier.Parked},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, "test14", quick)
			board := queue.NewBoard(b.nc, b.js)
			breaks(b.store, c.fault)
			b.works(board)
			b.publishes(0, 60)
			b.until("nothing is pulled", func() bool { return b.open().Slots == 0 && b.inHandNow() == 0 })
			b.until("the board says so", func() bool {
				s, err := board.Read(t.Context())
				v := s[tier.Primary].Views["instance-1"]
				return err == nil && v.State == c.state && v.Weight == 0 && s[tier.Primary].Weight() == 0
			})
			b.publishes(60, 40)
			if i := b.consumer(); i.NumPending < 60 {
				t.Errorf("%d of 100 wait in the stream: it pulls on", i.NumPending)
			}
			b.store.Heal()
			b.until("all is stored", func() bool { i := b.consumer(); return i.NumPending == 0 && i.NumAckPending == 0 })
			b.until("it is well again", func() bool { v := b.keeper.view(); return v.State == tier.Healthy && v.Weight == 1 })
			b.alive()
			if b.outcome("stored") != 100 {
				t.Errorf("stored %v", b.outcome("stored"))
			}
		})
	}
}

func (b *bed) inHandNow() int32 { return b.keeper.inHand.Load() }

func TestAPausedTierIsPulledFromByNobody(t *testing.T) {
	b := newBed(t, "test15", quick)
	board := queue.NewBoard(b.nc, b.js)
	if err := board.Pause(t.Context(), tier.Primary, tier.Pause{Reason: "moving", By: "ada", Since: time.Now()}); err != nil {
		t.Fatal(err)
	}
	b.publishes(0, 20)
	b.works(board) // a worker that is started knows no more of a pause than what the board says
	b.until("it is seen to be paused, and the first view is told", func() bool {
		s, err := board.Read(t.Context())
		return err == nil && len(s[tier.Primary].Views) == 1 && b.keeper.paused.Load() != nil
	})
	if i := b.consumer(); i.NumPending != 20 || i.Delivered.Consumer != 0 {
		t.Errorf("%d of 20 wait, %d were delivered", i.NumPending, i.Delivered.Consumer)
	}
	if err := board.Resume(t.Context(), tier.Primary); err != nil {
		t.Fatal(err)
	}
	b.until("all is stored", func() bool { i := b.consumer(); return i.NumPending == 0 && i.NumAckPending == 0 })
}

func TestTheGaugesShowHowTheTierStands(t *testing.T) {
	b := newBed(t, "test15")
	watch(b.registry, b.keeper, b.open)
	shows := func(breaker, degraded, parked, backfill float64) {
		t.Helper()
		got := map[string]float64{}
		families, err := b.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if m := f.GetMetric()[0]; m.GetGauge() != nil {
				got[f.GetName()] = m.GetGauge().GetValue()
			}
		}
		for name, want := range map[string]float64{
			"twinreel_breaker_state": breaker, "twinreel_tier_degraded": degraded, "twinreel_tier_parked": parked, "twinreel_backfill_open": backfill,
		} {
			if got[name] != want {
				t.Errorf("%s is %v, want %v", name, got[name], want)
			}
		}
	}
	shows(0, 0, 0, 1)
	for range 3 {
		b.keeper.health.Failed(b.clock.Now(), "unavailable")
	}
	shows(0, 1, 0, 1)
	b.keeper.health.Denied(b.clock.Now(), "403")
	shows(0, 0, 1, 0)
}
