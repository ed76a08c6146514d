package worker

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/tier/breaker"
)

// silent takes audit events and forgets them.
type silent struct{}

func (silent) Audit(context.Context, event.Audit) error { return nil }

// kept is a keeper by itself, with its store.
func kept(change ...func(*Config)) (*keeper, *memstore.Store) {
	c := Config{
		Work: Work{Concurrency: 20}, Breaker: breaker.Config{Failures: 3, Open: 30 * time.Second},
		Health: Health{DegradedAfter: 3, ProbeInterval: 10 * time.Second},
	}
	for _, f := range change {
		f(&c)
	}
	store := memstore.New("bucket")
	return newKeeper(c, tier.Primary, "instance-1", store, silent{}, time.Now, zap.NewNop()), store
}

func storeFault(c fault.Class, status int) error {
	f := fault.New(c, fault.Store, "put", errBroken)
	f.Status = status
	return f
}

func throttle(after time.Duration) error {
	f := fault.New(fault.Throttled, fault.Store, "put", errBroken)
	f.Status, f.RetryAfter = http.StatusServiceUnavailable, after
	return f
}

// breaks makes every write of the store fail, the probe's included.
func breaks(s *memstore.Store, err error) {
	for _, op := range []memstore.Op{memstore.Put, memstore.Create, memstore.Stream} {
		s.Before(op, memstore.Always(err))
	}
}

func put(ctx context.Context, s objstore.Writer, key string) error {
	body := []byte("some bytes")
	_, err := s.Put(ctx, key, body, digest.Of(body), objstore.Options{})
	return err
}

func TestTheGateKeepsToTheTableOfLanes(t *testing.T) {
	fails := func(n int) func(*keeper) {
		return func(k *keeper) {
			for range n {
				k.health.Failed(k.now(), "unavailable")
			}
		}
	}
	for name, c := range map[string]struct {
		given func(*keeper)
		want  queue.Allowance
	}{
		"well":                      {func(*keeper) {}, queue.Allowance{Slots: 20, Backfill: 20, Beside: 2}},
		"well, off-peak":            {func(k *keeper) { k.offPeak = offPeak{0, 24 * 60, time.UTC} }, queue.Allowance{Slots: 20, Backfill: 20, Beside: 10}},
		"just recovered: a tenth":   {func(k *keeper) { k.health.Denied(k.now(), ""); k.health.Passed(k.now(), 1, true) }, queue.Allowance{Slots: 20, Backfill: 2, Beside: 2}},
		"degraded: one, live first": {fails(3), queue.Allowance{Slots: 1, Backfill: 1}},
		"parked":                    {func(k *keeper) { k.health.Denied(k.now(), "403") }, queue.Allowance{}},
		"paused":                    {func(k *keeper) { k.paused.Store(&tier.Pause{Reason: "move"}) }, queue.Allowance{}},
		"breaker open":              {func(k *keeper) { k.breaker.Throttled(time.Hour) }, queue.Allowance{}},
		"degraded, breaker open":    {func(k *keeper) { fails(3)(k); k.breaker.Throttled(time.Hour) }, queue.Allowance{}},
	} {
		t.Run(name, func(t *testing.T) {
			k, _ := kept()
			c.given(k)
			if got := k.allowance(); got != c.want {
				t.Errorf("allowed %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestAfterAThrottleSlotsComeBackOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _ := kept()
		k.breaker.Throttled(time.Second)
		time.Sleep(time.Second)
		if a := k.allowance(); a.Slots != 0 {
			t.Fatalf("allowed %+v before the probe", a)
		}
		if err := k.probe(t.Context()); err != nil {
			t.Fatal(err)
		}
		if a, v := k.allowance(), k.view(); a != (queue.Allowance{Slots: 2, Backfill: 1, Beside: 1}) || v.Weight != 0.5 {
			t.Errorf("allowed %+v at weight %v", a, v.Weight)
		}
	})
}

func TestWhileTheBreakerIsOpenNoMediaAreBegunButWhatWasBegunGoesOn(t *testing.T) {
	k, store := kept()
	upload, err := k.store.Create(t.Context(), "recordings/begun.wav", objstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	k.breaker.Throttled(time.Hour)
	err = put(t.Context(), k.store, "recordings/new.wav")
	if !errors.Is(err, errShut) || fault.PartOf(err) != fault.Store || fault.RetryAfterOf(err) < breaker.MaxAsked-time.Minute {
		t.Errorf("got %v for %s", err, fault.RetryAfterOf(err))
	}
	if store.Calls(memstore.Put) != 0 {
		t.Error("the store was asked")
	}
	body := []byte("part")
	if err := upload.Part(t.Context(), 1, body, digest.CRC64(body)); err != nil {
		t.Error(err)
	}
	if _, err := upload.Commit(t.Context(), digest.Of(body), nil); err != nil {
		t.Error(err)
	}
	if err := put(t.Context(), k.store, "metadata/begun.json"); err != nil {
		t.Error(err)
	}
}

func TestWhoFailsAndAsksForPeaceGetsIt(t *testing.T) {
	k, store := kept()
	f := fault.New(fault.Unavailable, fault.Store, "stat", errBroken)
	f.Status, f.RetryAfter = http.StatusServiceUnavailable, time.Minute
	store.Before(memstore.Stat, memstore.Always(f))
	_, _ = k.store.Stat(t.Context(), "recordings/r.wav")
	if left := k.breaker.Remaining(); left < 50*time.Second {
		t.Errorf("open for %s", left)
	}
	if v := k.view(); v.ConsecutiveFailures != 1 || v.Weight != 0 {
		t.Errorf("view %+v", v)
	}
}

func TestThreeFailuresOpenTheBreakerAndDegradeTheTier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := kept()
		breaks(store, storeFault(fault.Unavailable, 503))
		for range 3 {
			_ = put(t.Context(), k.store, "recordings/r.wav")
		}
		if k.breaker.State() != breaker.Open || k.view().State != tier.Degraded || k.view().ConsecutiveFailures != 3 {
			t.Fatalf("breaker %s, view %+v", k.breaker.State(), k.view())
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		before := store.Calls(memstore.Create)
		go k.probes(ctx)
		time.Sleep(29 * time.Second)
		if n := store.Calls(memstore.Create) - before; n != 0 {
			t.Errorf("%d probe writes while the breaker is open", n)
		}
		store.Heal()
		time.Sleep(2 * time.Second)
		if k.breaker.State() != breaker.Closed || k.allowance() != (queue.Allowance{Slots: 1, Backfill: 1}) {
			t.Fatalf("breaker %s, allowed %+v: the way out is a probe write, then one recording at a time", k.breaker.State(), k.allowance())
		}
		time.Sleep(21 * time.Second) // two more probe writes, nothing in hand
		if v := k.view(); v.State != tier.Healthy || v.Weight != 0.5 {
			t.Fatalf("view %+v", v)
		}
		time.Sleep(time.Minute)
		if v := k.view(); v.Weight != 1 {
			t.Errorf("view %+v", v)
		}
	})
}

func TestAParkedTierResumesByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := kept()
		breaks(store, storeFault(fault.Denied, 403))
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go k.probes(ctx)
		time.Sleep(time.Second)
		if k.allowance().Slots != 0 || k.stands(ctx) == nil || k.answers(ctx) == nil || k.breaker.State() != breaker.Closed {
			t.Fatalf("view %+v, breaker %s", k.view(), k.breaker.State())
		}
		time.Sleep(time.Hour)
		store.Heal()
		time.Sleep(10 * time.Second)
		if k.allowance().Slots != 20 || k.answers(ctx) != nil {
			t.Errorf("view %+v", k.view())
		}
	})
}

func TestAProbeThatHangsHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := kept()
		store.Before(memstore.Create, func(ctx context.Context, _ memstore.Call) error {
			<-ctx.Done()
			return fault.New(objstore.LostClass(ctx.Err()), fault.Store, "create", ctx.Err())
		})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go k.probes(ctx)
		time.Sleep(70 * time.Second)
		if v := k.view(); v.State != tier.Degraded || k.breaker.State() != breaker.Open {
			t.Errorf("view %+v, breaker %s", v, k.breaker.State())
		}
	})
}

func TestWhoAsksDuringAProbeSharesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := kept()
		store.Before(memstore.Create, func(context.Context, memstore.Call) error { time.Sleep(time.Second); return nil })
		answers := make(chan error, 16)
		for range cap(answers) {
			go func() { answers <- k.probe(t.Context()) }()
		}
		for range cap(answers) {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		if n := store.Calls(memstore.Create); n != 1 {
			t.Errorf("%d probe writes", n)
		}
	})
}

func TestTheRateOfRequestsIsHeldAndShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _ := kept()
		HoldRequests(20)(k)
		stat := func(n int) time.Duration {
			began := time.Now()
			for range n {
				_, _ = k.store.Stat(t.Context(), "recordings/none.wav")
			}
			return time.Since(began)
		}
		_ = stat(2) // what may go at once
		if took := stat(40); took != 2*time.Second {
			t.Errorf("40 requests took %s at 20 a second", took)
		}
		k.requests.share(4)
		_ = stat(1)
		if took := stat(10); took != 2*time.Second {
			t.Errorf("10 requests took %s at a quarter of 20 a second", took)
		}
	})
}

func TestAProbeDoesNotWaitForItsTurnButCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _ := kept()
		HoldRequests(1)(k)
		began := time.Now()
		if err := k.probe(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		_, _ = k.store.Stat(t.Context(), "recordings/none.wav")
		if took := time.Since(began); took < 2*time.Second {
			t.Errorf("the next came after %s", took)
		}
	})
}
