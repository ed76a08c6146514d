package scrub

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

func TestTheBudgetIsKeptAndTheTurnThatItAllowsIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.Budget, b.Period = 16*mib, 2*time.Hour // 64 MiB in two tiers take 8 hours
		for i := range 32 {
			b.store(rec(i), media(byte(i), mib), tier.Primary)
			b.store(rec(i), media(byte(i), mib), tier.Backup)
		}
		total := func() float64 {
			return testutil.ToFloat64(b.Metrics.bytes.WithLabelValues("primary")) + testutil.ToFloat64(b.Metrics.bytes.WithLabelValues("backup"))
		}
		stop := b.run()
		defer stop()
		for h := 1; h <= 7; h++ {
			time.Sleep(time.Hour)
			if got, most := total(), float64(h*16*mib+piece); got > most || got < most-4*mib-piece {
				t.Errorf("%.0f MiB after %d hours, want about %.0f", got/mib, h, most/mib)
			}
		}
		if p := testutil.ToFloat64(b.Metrics.projected.WithLabelValues()); p != (4 * time.Hour).Seconds() {
			t.Errorf("projected %v", time.Duration(p)*time.Second)
		}
		time.Sleep(48 * time.Hour)
		if n := b.logged(zap.WarnLevel, "takes longer than TWINREEL_SCRUB_PERIOD"); n != 3 {
			t.Errorf("said %d times in 55 hours", n)
		}
	})
}

// given a budget that does not do, when one tier has more than the other, then both turns take as long.
func TestABudgetThatDoesNotDoIsSharedByWhatEachTierHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.Budget, b.Period = 21*mib, 2*time.Hour // 168 MiB take 8 hours
		for i := range 128 {
			in := []tier.Tier{tier.Primary, tier.Backup}
			if i >= 40 {
				in = in[:1]
			}
			b.store(rec(i), media(byte(i), mib), in...)
		}
		stop := b.run()
		defer stop()
		time.Sleep(4 * time.Hour)
		for _, of := range tier.All() {
			if p := testutil.ToFloat64(b.Metrics.done.WithLabelValues(of.String())); p < 0.4 || p > 0.8 {
				t.Errorf("%s: progress %.2f at half the time", of, p)
			}
		}
	})
}

func TestTheTurnThatIsProjected(t *testing.T) {
	for _, c := range []struct {
		bytes, budget int64
		want          time.Duration
	}{
		{0, 10 << 30, 0},
		{1, 10 << 30, month},
		{7200 << 30, 10 << 30, month},
		{14400 << 30, 10 << 30, 2 * month},
		{1 << 62, 1 << 20, 1 << 62}, // more than any clock can say
	} {
		if got := turnTime(c.bytes, c.budget, month); got != c.want {
			t.Errorf("%d bytes at %d an hour: %s, want %s", c.bytes, c.budget, got, c.want)
		}
	}
}

// given a turn that stands still for a third of its time, when the store is back, then the turn is still done in time.
func TestATurnThatFellBehindCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		for i := range 60 {
			b.store(rec(i), media(byte(i), mib), tier.Primary)
		}
		stop := b.run()
		defer stop()
		time.Sleep(month / 3)
		b.stores[tier.Primary].Before(memstore.Open, memstore.Always(away()))
		time.Sleep(month / 3)
		b.stores[tier.Primary].Heal()
		time.Sleep(month/3 + time.Hour)
		b.wantJudged(tier.Primary, map[Verdict]int{Good: 60})
		if b.logged(zap.WarnLevel, "waits for the store") != 1 || b.logged(zap.InfoLevel, "reading back goes on") != 1 {
			t.Error("the absence is not said once, nor its end")
		}
	})
}

func TestATierThatIsNotWellIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		for i := range 60 {
			b.store(rec(i), media(byte(i), mib))
		}
		var mu sync.Mutex
		weight := 0.0
		b.Weight = func(_ context.Context, of tier.Tier) float64 {
			mu.Lock()
			defer mu.Unlock()
			if of == tier.Backup {
				return 1
			}
			return weight
		}
		stop := b.run()
		defer stop()
		time.Sleep(month / 4)
		well := b.judged(tier.Backup, Good)
		if got := b.judged(tier.Primary, Good); got != 0 || well < 15 {
			t.Errorf("%d copies of the tier that is not well, %d of the other", got, well)
		}
		mu.Lock()
		weight = 1
		mu.Unlock()
		time.Sleep(month)
		if got := b.judged(tier.Primary, Good); got < 60 {
			t.Errorf("%d copies in a month of being well", got)
		}
	})
}

func TestHowSoonTheSizeIsListedAgainHangsOnWhatThatCosts(t *testing.T) {
	at := time.Unix(1000, 0)
	for keys, want := range map[int64]time.Duration{0: time.Hour, 10: time.Hour, 100_000: 100 * time.Minute, 1_000_000_000: 168 * time.Hour} {
		if got := (Size{Keys: keys, At: at}).again().Sub(at); got != want {
			t.Errorf("%d keys: %s, want %s", keys, got, want)
		}
	}
}

// given an archive that grew a hundredfold since its turn began, when the size is listed again, then the rest is read sooner.
func TestAnArchiveThatGrowsIsReadFaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.store(rec(0), media(1, 10*mib), tier.Primary) // the free burst, and some more
		stop := b.run()
		defer stop()
		time.Sleep(time.Hour)
		for i := range 60 {
			b.store(rec(i+1), media(byte(i), mib), tier.Primary)
		}
		time.Sleep(month)
		b.wantJudged(tier.Primary, map[Verdict]int{Good: 61})
	})
}
