package scrub

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

const mib = 1 << 20

func TestEachCopyIsReadOnceInAPeriodAndTheReadingIsSpreadOverIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		var keys []string
		for i := range 40 {
			keys = append(keys, b.store(rec(i), media(byte(i), mib)))
		}
		large := b.store("rec-large", media(1, 20*mib)) // in three pieces
		empty := b.store("rec-none", nil)
		reads := b.reads(tier.Primary)
		stop := b.run()
		defer stop()
		time.Sleep(month / 2)
		// A burst of 8 MiB is free, a piece may just be due.
		if got := testutil.ToFloat64(b.Metrics.bytes.WithLabelValues("primary")); got < 22*mib || got > 46*mib {
			t.Errorf("%.0f MiB of 60 are read in half the time", got/mib)
		}
		if p := testutil.ToFloat64(b.Metrics.done.WithLabelValues("backup")); p < 0.35 || p > 0.75 {
			t.Errorf("progress %.2f at half the time", p)
		}
		time.Sleep(month/2 - time.Hour)
		for _, of := range tier.All() {
			b.wantJudged(of, map[Verdict]int{Good: 42})
		}
		for _, key := range append(keys, empty) {
			if reads(key) != 1 {
				t.Errorf("%s was opened %d times", key, reads(key))
			}
		}
		if reads(large) != 3 {
			t.Errorf("the large one was opened %d times", reads(large))
		}
		runs := b.paper.kept(event.AuditRun, tier.Primary)
		if last := runs[len(runs)-1].Data; last.ObjectKey != "" || last.Counts["good"] != 42 || last.Counts["bytes"] != 60*mib || last.Reason != "scrub" {
			t.Errorf("the turn's end is remembered as %+v", last)
		}
		if p := testutil.ToFloat64(b.Metrics.projected.WithLabelValues()); p != month.Seconds() {
			t.Errorf("projected %v", p)
		}
		time.Sleep(month)
		for _, of := range tier.All() {
			b.wantJudged(of, map[Verdict]int{Good: 84})
		}
		if n := b.logs.FilterLevelExact(zap.WarnLevel).Len() + b.logs.FilterLevelExact(zap.ErrorLevel).Len(); n != 0 {
			t.Errorf("%d complaints", n)
		}
		if len(b.paper.kept(event.AuditQuarantined, tier.Primary)) != 0 {
			t.Error("a good copy is audited")
		}
	})
}

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

// given a turn that was stopped half way, when another process goes on, then no copy is read again or left out; and one
// that was done stays done until the next is due.
func TestARestartGoesOnWhereTheTurnWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		var keys []string
		for i := range 40 {
			keys = append(keys, b.store(rec(i), media(byte(i), mib)))
		}
		reads := b.reads(tier.Backup)
		began := time.Now()
		b.runFor(month / 2)
		half := b.judged(tier.Backup, Good)
		lists := b.stores[tier.Backup].Calls(memstore.List)
		b.anew()
		b.runFor(month / 4)
		b.anew()
		b.runFor(month/4 - time.Hour)
		if half < 15 || half > 30 {
			t.Errorf("%d copies in half the time", half)
		}
		for _, key := range keys {
			if reads(key) != 1 {
				t.Errorf("%s was read %d times", key, reads(key))
			}
		}
		runs := b.paper.kept(event.AuditRun, tier.Backup)
		if last := runs[len(runs)-1].Data; last.ObjectKey != "" || last.Counts["good"] != 40 || last.Counts["started"] != began.Unix() {
			t.Errorf("the turn's end is remembered as %+v", last)
		}
		if n := b.stores[tier.Backup].Calls(memstore.List); n == lists {
			t.Error("nothing is listed any more")
		}
		b.anew()
		b.runFor(30 * time.Minute)
		b.wantJudged(tier.Backup, nil) // not due before the month is over
		b.anew()
		b.runFor(2 * time.Hour)
		if b.judged(tier.Backup, Good) == 0 {
			t.Error("no next turn")
		}
	})
}

// given a process that dies, when another goes on, then ten minutes' reading is lost at the most.
func TestAPlaceIsRememberedWithoutAFarewell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.Period = 10 * time.Hour
		for i := range 100 {
			b.store(rec(i), media(byte(i), mib), tier.Primary)
		}
		stop := b.run()
		time.Sleep(5 * time.Hour)
		b.paper.refuse(errors.New("dead"), nil)
		dead := b.judged(tier.Primary, Good)
		stop()
		b.paper.refuse(nil, nil)
		body, err := b.paper.last(t.Context(), tier.Primary)
		m, z, ok := parse(body, "bucket-primary")
		if err != nil || !ok || int(m.Verdicts[Good]) < dead-3 || m.After != event.ObjectKey(rec(int(m.Verdicts[Good])-1), "wav") || z.Bytes != 100*mib || z.Keys != 100 {
			t.Errorf("%d read; remembered %+v, %+v, %v, %v", dead, m, z, ok, err)
		}
	})
}

// given a turn that is done for a month to come, when the audit log forgets what is older than a week, then the turn's end is
// still in it.
func TestAPlaceIsRememberedAnewEachDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.store(rec(1), media(1, 100))
		b.runFor(10 * 24 * time.Hour)
		runs := b.paper.kept(event.AuditRun, tier.Primary)
		if n := len(runs); n < 10 || n > 14 || time.Since(runs[n-2].Time) > 25*time.Hour || runs[n-1].Data.Counts["good"] != 1 {
			t.Errorf("%d times: %+v", n, runs)
		}
	})
}

func TestWhatIsRememberedOfSomethingElseIsNotBelieved(t *testing.T) {
	good := Mark{Started: time.Unix(1000, 0), After: "recordings/a.wav"}
	body := func(change func(d *event.AuditData)) []byte {
		d := good.data(tier.Primary, "bucket", Size{})
		change(&d)
		out, err := event.Audit{Kind: event.AuditRun, Tier: "primary", Data: d}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, c := range map[string]struct {
		body []byte
		ok   bool
	}{
		"as it was written":    {body(func(*event.AuditData) {}), true},
		"nothing":              {nil, false},
		"no event":             {[]byte("?"), false},
		"another run's":        {body(func(d *event.AuditData) { d.Reason = "full" }), false},
		"of another bucket":    {body(func(d *event.AuditData) { d.Bucket = "old" }), false},
		"without its numbers":  {body(func(d *event.AuditData) { d.Counts = nil }), false},
		"numbers for nobody":   {body(func(d *event.AuditData) { d.Counts["new"] = 7 }), true},
		"at the end of a turn": {body(func(d *event.AuditData) { d.ObjectKey = "" }), true},
	} {
		if m, _, ok := parse(c.body, "bucket"); ok != c.ok || ok && !m.Started.Equal(good.Started) {
			t.Errorf("%s: %+v, %v", name, m, ok)
		}
	}
}

// given NATS away at the start, when it answers, then the turn goes on where it was: nothing is begun on a guess.
func TestNothingIsReadBeforeThePlaceIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		key := b.store(rec(1), media(1, 100))
		reads := b.reads(tier.Primary)
		var mu sync.Mutex
		down := true
		last := b.Last
		b.Last = func(ctx context.Context, of tier.Tier) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			if down {
				return nil, errors.New("no answer")
			}
			return last(ctx, of)
		}
		stop := b.run()
		defer stop()
		time.Sleep(time.Hour)
		if reads(key) != 0 || b.logged(zap.WarnLevel, "where it was cannot be read") != 2 {
			t.Error("read on a guess, or not said once for each tier")
		}
		mu.Lock()
		down = false
		mu.Unlock()
		time.Sleep(time.Hour)
		if reads(key) != 1 {
			t.Error("not read afterwards")
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

func TestItStopsAtOnce(t *testing.T) {
	for name, harm := range map[string]func(b *bed){
		"while it waits for its turn": func(*bed) {},
		"while a store hangs": func(b *bed) {
			b.stores[tier.Primary].Before(memstore.Open, func(ctx context.Context, _ memstore.Call) error { <-ctx.Done(); return ctx.Err() })
		},
		"while a listing hangs": func(b *bed) {
			b.stores[tier.Primary].Before(memstore.List, func(ctx context.Context, _ memstore.Call) error { <-ctx.Done(); return ctx.Err() })
		},
		"while a store is away": func(b *bed) { b.stores[tier.Backup].Before(memstore.List, memstore.Always(away())) },
		"while nothing is remembered": func(b *bed) {
			b.Last = func(context.Context, tier.Tier) ([]byte, error) { return nil, errors.New("away") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t)
				b.store(rec(1), media(1, 20*mib))
				harm(b)
				stop := b.run()
				time.Sleep(time.Minute)
				synctest.Wait()
				at := time.Now()
				stop()
				if d := time.Since(at); d != 0 {
					t.Errorf("it took %s", d)
				}
				if n, err := testutil.GatherAndCount(b.reg, "twinreel_scrub_projected_seconds", "twinreel_scrub_turn_progress"); n != 0 || err != nil {
					t.Errorf("%d gauges are left of it, %v", n, err)
				}
			})
		})
	}
}

// versions is a store with versions, that can only be listed.
type versions struct {
	objstore.Reader
	infos []objstore.Info
	fail  int // how many listings break off, each somewhere else
}

func (v *versions) ListRange(_ context.Context, after, through string) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		left := -1
		if v.fail--; v.fail >= 0 {
			left = 300 * v.fail
		}
		for _, i := range v.infos {
			if i.Key <= after || i.Key > through {
				continue
			}
			if left--; left == -1 {
				yield(objstore.Info{}, away())
				return
			}
			if !yield(i, nil) {
				return
			}
		}
	}
}

// given keys with several versions, some deleted, more than one page has, in a store that breaks off, when they are listed
// page by page, then the visible ones come once each.
func TestPagesHaveEachVisibleKeyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &versions{fail: 6}
		var want []string
		v.infos = append(v.infos, objstore.Info{Key: "metadata/rec-1.json", Latest: true})
		for i := range 2500 {
			key := fmt.Sprintf("recordings/rec-%05d.wav", i)
			for n := range 1 + i%3 {
				v.infos = append(v.infos, objstore.Info{Key: key, VersionID: fmt.Sprint(n), Latest: n == 0 && i%7 != 0})
			}
			if i%7 != 0 {
				want = append(want, key)
			}
		}
		v.infos = append(v.infos, objstore.Info{Key: mediaThrough, Latest: true}, objstore.Info{Key: "recordings1", Latest: true})
		b := newBed(t)
		l := &lane{tier: tier.Primary, store: v}
		var got []string
		pages := 0
		for p := (page{last: mediaFolder, more: true}); p.more; pages++ {
			var err error
			if p, err = b.page(t.Context(), l, p.last); err != nil {
				t.Fatal(err)
			}
			if len(p.infos) > pageSize {
				t.Errorf("%d keys in a page", len(p.infos))
			}
			for _, i := range p.infos {
				got = append(got, i.Key)
			}
		}
		if !slices.Equal(got, want) || pages < 5 {
			t.Errorf("%d keys of %d in %d pages", len(got), len(want), pages)
		}
	})
}

func TestWhatIsNoMediaIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		s := b.stores[tier.Primary]
		b.store(rec(1), media(1, 100))
		for _, key := range []string{"audit/2026/checkpoint", "recordings/", "recordings/x.exe", "recordings/a/b/c.wav", "recordings/rec 1.wav", "recordings0", "z"} {
			s.Plant(key, memstore.Object{Body: []byte("x")})
		}
		b.runFor(time.Hour)
		b.wantJudged(tier.Primary, map[Verdict]int{Good: 1, Unexplained: 3})
		if n := s.Calls(memstore.Open); n != 2 {
			t.Errorf("%d objects were opened: want the media and its sidecar", n)
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

func TestNoSecretAndNoNameIsInWhatIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		key := b.store(rec(1), media(1, 100))
		b.stores[tier.Primary].Plant(key, memstore.Object{Body: media(2, 100)})
		failed := fault.New(fault.Unavailable, fault.Store, "open", errors.New(`get "https://bucket.example.com/a?X-Amz-Signature=s3cret": reset`))
		b.stores[tier.Backup].Before(memstore.Open, memstore.Nth(1, failed))
		b.runFor(time.Hour)
		for _, e := range b.logs.All() {
			if text := fmt.Sprint(e.Message, e.ContextMap()); strings.Contains(text, "s3cret") {
				t.Errorf("said: %s", text)
			}
		}
		if b.logs.Len() < 2 {
			t.Error("nothing is said")
		}
	})
}
