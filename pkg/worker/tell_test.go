package worker

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// boards is a board, and an audit log, that keep what they are told, or fail.
type boards struct {
	mu        sync.Mutex
	away      bool
	views     []tier.View
	audits    []event.Audit
	withdrawn bool
	standing  tier.Standing
}

func (b *boards) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *boards) Tell(_ context.Context, _ tier.Tier, _ string, v tier.View) (err error) {
	b.set(func() {
		if b.away {
			err = errors.New("away")
			return
		}
		b.views = append(b.views, v)
	})
	return err
}

func (b *boards) Withdraw(context.Context, tier.Tier, string) error {
	b.set(func() { b.withdrawn = true })
	return nil
}

func (b *boards) Audit(_ context.Context, a event.Audit) (err error) {
	b.set(func() {
		if b.away {
			err = errors.New("away")
			return
		}
		b.audits = append(b.audits, a)
	})
	return err
}

func (b *boards) standings() (s queue.Standings) {
	b.set(func() { s = queue.Standings{tier.Primary: b.standing} })
	return s
}

// telling runs test beside a teller, in a bubble of time.
func telling(t *testing.T, test func(t *testing.T, k *keeper, b *boards, stop func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k, _ := kept()
		b := &boards{}
		k.audit = b
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		tell := &teller{keeper: k, board: b, standings: b.standings}
		go func() { defer close(ended); tell.run(ctx) }()
		stop := func() { cancel(); <-ended }
		defer stop()
		synctest.Wait()
		test(t, k, b, stop)
	})
}

func TestAViewIsToldAtOnceOnChangeAndAgainEachTenSeconds(t *testing.T) {
	telling(t, func(t *testing.T, k *keeper, b *boards, stop func()) {
		told := func() (n int) { b.set(func() { n = len(b.views) }); return n }
		if told() != 1 {
			t.Fatalf("told %d times at the start", told())
		}
		time.Sleep(30*time.Second + time.Millisecond)
		if told() != 4 {
			t.Errorf("told %d times in half a minute", told())
		}
		k.health.Denied(time.Now(), "403 AccessDenied")
		time.Sleep(tellLook + time.Millisecond)
		if told() != 5 || b.views[4].State != tier.Parked || b.views[4].Reason != "403 AccessDenied" {
			t.Errorf("views %+v", b.views)
		}
		stop()
		if !b.withdrawn {
			t.Error("its word was not taken back")
		}
	})
}

func TestAnOpenBreakerIsToldAsNoWeight(t *testing.T) {
	telling(t, func(t *testing.T, k *keeper, b *boards, _ func()) {
		k.breaker.Throttled(time.Minute)
		time.Sleep(tellLook + time.Millisecond)
		b.set(func() {
			if v := b.views[len(b.views)-1]; v.State != tier.Healthy || v.Weight != 0 || v.Reason == "" {
				t.Errorf("view %+v", v)
			}
		})
	})
}

func TestChangesOfStateAreAuditedOnceEachThroughAnAbsence(t *testing.T) {
	telling(t, func(t *testing.T, k *keeper, b *boards, _ func()) {
		b.set(func() { b.away = true })
		for range 3 {
			k.health.Failed(time.Now(), "unavailable, status 503")
		}
		time.Sleep(time.Second)
		k.health.Denied(time.Now(), "403 AccessDenied")
		time.Sleep(time.Second)
		k.health.Passed(time.Now(), time.Millisecond, true)
		time.Sleep(time.Second)
		b.set(func() { b.away = false })
		time.Sleep(time.Minute)
		b.set(func() {
			want := []event.AuditKind{event.AuditTierDegraded, event.AuditTierParked, event.AuditTierRecovered}
			if len(b.audits) != len(want) {
				t.Fatalf("audited %+v", b.audits)
			}
			ids := map[string]bool{}
			for i, a := range b.audits {
				ids[a.MsgID] = true
				if a.Kind != want[i] || a.Tier != "primary" || a.Data.By != "instance-1" {
					t.Errorf("audited %+v, want %s", a, want[i])
				}
			}
			if len(ids) != 3 {
				t.Errorf("IDs %v", ids)
			}
		})
	})
}

func TestAPausedTierPullsNothingUntilItIsResumed(t *testing.T) {
	telling(t, func(t *testing.T, k *keeper, b *boards, _ func()) {
		b.set(func() { b.standing.Pause = &tier.Pause{Reason: "moving the bucket", By: "ada"} })
		time.Sleep(tellLook + time.Millisecond)
		if k.allowance().Slots != 0 || k.stands(t.Context()) == nil {
			t.Error("it pulls")
		}
		b.set(func() { b.standing.Pause = nil })
		time.Sleep(tellLook + time.Millisecond)
		if k.allowance().Slots != 20 || k.stands(t.Context()) != nil {
			t.Error("it does not pull again")
		}
	})
}

func TestLiveWorkersShareTheRate(t *testing.T) {
	telling(t, func(t *testing.T, k *keeper, b *boards, stop func()) {
		stop() // the teller reads k.requests
		HoldRequests(1750)(k)
		tell := &teller{keeper: k, board: b, standings: b.standings}
		for _, c := range []struct {
			live int
			want float64
		}{{0, 1750}, {1, 1750}, {7, 250}, {0, 250}, {2, 875}} {
			b.standing.Views = map[string]tier.View{}
			for i := range c.live {
				b.standing.Views[string(rune('a'+i))] = tier.View{}
			}
			tell.read()
			if got := float64(k.requests.limiter.Limit()); got != c.want {
				t.Errorf("%d live workers: %v requests a second, want %v", c.live, got, c.want)
			}
		}
	})
}

func TestAParkedTierSaysOnceAMinuteWhatToMend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.ErrorLevel)
		k, store := kept()
		k.log = zap.New(core)
		breaks(store, storeFault(fault.Denied, 403))
		_ = k.probe(t.Context())
		tell := &teller{keeper: k, board: &boards{}, standings: (&boards{}).standings}
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute-time.Second)
		defer stop()
		tell.run(ctx)
		if n := logs.FilterField(zap.String("mend", mend)).Len(); n != 5 {
			t.Errorf("said %d times in five minutes", n)
		}
	})
}

func TestNothingIsPulledUntilTheBoardHasBeenRead(t *testing.T) {
	k, _ := kept()
	var standings queue.Standings
	tell := newTeller(k, &boards{}, func() queue.Standings { return standings })
	tell.read()
	if k.allowance().Slots != 0 || k.stands(t.Context()) == nil {
		t.Errorf("it may be paused, and %+v is pulled", k.allowance())
	}
	standings = queue.Standings{tier.Primary: {Pause: &tier.Pause{Reason: "moving", By: "ada"}}}
	tell.read()
	if k.allowance().Slots != 0 {
		t.Errorf("it is paused, and %+v is pulled", k.allowance())
	}
	standings = queue.Standings{}
	tell.read()
	if k.allowance().Slots == 0 || k.stands(t.Context()) != nil {
		t.Errorf("nothing is pulled: %v", k.stands(t.Context()))
	}
}
