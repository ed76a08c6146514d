package scrub

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
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
