package seal

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit/tree"
)

func TestWhatMayBePurged(t *testing.T) {
	whole := usage{First: 1001, Messages: 1000, Bytes: 400, Limit: 1000, Young: 1001}
	with := func(change func(*usage)) usage {
		u := whole
		change(&u)
		return u
	}
	for name, c := range map[string]struct {
		u           usage
		least, most uint64
		due         []goes
	}{
		"nothing old, and room":                      {whole, 2000, 2000, nil},
		"old, and sealed in both":                    {with(func(u *usage) { u.Young = 1501 }), 2000, 2000, []goes{{1500, 2}}},
		"old, and sealed in one":                     {with(func(u *usage) { u.Young = 1501 }), 1100, 2000, []goes{{1100, 2}}},
		"old, and sealed nowhere":                    {with(func(u *usage) { u.Young = 1501 }), 0, 0, nil},
		"young, over half full, sealed in both":      {with(func(u *usage) { u.Bytes = 600 }), 2000, 2000, []goes{{1251, 2}}},
		"young, over half full, sealed in one":       {with(func(u *usage) { u.Bytes = 600 }), 0, 2000, nil},
		"young, three quarters full, sealed in one":  {with(func(u *usage) { u.Bytes = 800 }), 0, 2000, []goes{{1126, 1}}},
		"three quarters full, one is a little ahead": {with(func(u *usage) { u.Bytes = 800 }), 1050, 1080, []goes{{1080, 1}, {1050, 2}}},
		"full, and sealed nowhere":                   {with(func(u *usage) { u.Bytes = 1000 }), 0, 0, nil},
		"full, and sealed in both":                   {with(func(u *usage) { u.Bytes = 1000 }), 2000, 2000, []goes{{1551, 2}, {1301, 1}}},
		"without a bound":                            {with(func(u *usage) { u.Bytes, u.Limit = 1<<40, -1 }), 2000, 2000, nil},
	} {
		if due := purgeable(c.u, c.least, c.most, 2); !slices.Equal(due, c.due) {
			t.Errorf("%s: %+v, want %+v", name, due, c.due)
		}
	}
}

func (w *world) first() uint64 {
	w.Helper()
	s, err := w.js.Stream(w.Context(), queue.Audit)
	if err != nil {
		w.Fatal(err)
	}
	return s.CachedInfo().State.FirstSeq
}

func TestOnlyWhatIsSealedAndOldIsPurged(t *testing.T) {
	w := newWorld(t)
	s := w.sealer()
	w.many(50)
	w.seals(s)
	if n := w.first(); n != 1 {
		t.Fatalf("young, and purged up to %d", n)
	}
	w.many(50) // not sealed
	w.pass(2 * time.Hour)
	if err := s.purge(t.Context()); err != nil || w.first() != 52 {
		t.Fatalf("first %d, want 52: %v", w.first(), err)
	}
	w.seals(s)
	w.seals(s) // all is purged now, the last mark with it
	w.many(5)
	w.seals(w.sealer())
	w.same()
	if n := w.size(tier.Primary, w.epoch()); n != 108 || len(w.alarms()) > 0 {
		t.Errorf("sealed to %d, want 108: %v", n, w.alarms())
	}
}

// given a store that is away for long, when the stream fills up, then it is purged of what the other has, and never stops; and
// the one that was away is completed.
func TestAStoreThatIsAwayForLongDoesNotFillTheStream(t *testing.T) {
	for name, sealed := range map[string]int{"it has sealed little": 100, "it has sealed what is there": 1000} {
		t.Run(name, func(t *testing.T) { awayForLong(t, sealed) })
	}
}

func awayForLong(t *testing.T, sealed int) {
	w := newWorld(t)
	w.stream(256 << 10)
	s := w.sealer()
	w.many(sealed)
	w.seals(s)
	w.away(tier.Backup)
	for range 20 {
		w.many(200)
		_ = s.Once(t.Context())
	}
	info, err := w.js.Stream(t.Context(), queue.Audit)
	if err != nil {
		t.Fatal(err)
	}
	if st := info.CachedInfo().State; st.FirstSeq < 500 || st.Bytes > 250<<10 || w.size(tier.Primary, w.epoch()) != int64(st.LastSeq) {
		t.Fatalf("%+v, sealed to %d", st, w.size(tier.Primary, w.epoch()))
	}
	w.stores[tier.Backup].Heal()
	w.seals(s)
	w.same()
	if len(w.alarms()) > 0 {
		t.Errorf("alarms: %v", w.alarms())
	}
}

// given a leaf that one store has otherwise, when the stream is purged of it on the other one's word, then the alarm goes on until
// the leaf is as it was.
func TestTheAlarmOfALeafOutlivesTheStreams(t *testing.T) {
	w := newWorld(t)
	w.stream(256 << 10)
	s := w.sealer()
	w.many(300)
	w.seals(s)
	key := w.epoch().Key(tree.DataTile(10, 1<<20).Path())
	was := w.objects(tier.Backup)[key]
	if len(was) == 0 {
		t.Fatal("no tile")
	}
	w.replace(tier.Backup, key, bytes.Replace(was, []byte("audit."), []byte("audiT."), 1))
	for range 25 {
		w.many(150)
		_ = s.Once(t.Context())
	}
	if w.first() < 2*tree.Width {
		t.Fatalf("first is %d: the stream fills up", w.first())
	}
	if !s.tracks[tier.Backup].unproven.Load() {
		t.Error("the alarm ended with the stream's copy of the leaf")
	}
	w.replace(tier.Backup, key, was)
	_ = s.Once(t.Context())
	if s.tracks[tier.Backup].unproven.Load() {
		t.Error("the leaf is as it was, and the alarm goes on")
	}
}

// given checkpoints that are gone from a store since they were sealed, when it is time to purge, then nothing is.
func TestNothingIsPurgedOnTheWordOfMemoryAlone(t *testing.T) {
	w := newWorld(t)
	s := w.sealer()
	w.many(50)
	w.seals(s)
	w.pass(2 * time.Hour)
	for key := range w.objects(tier.Backup) {
		w.stores[tier.Backup].Lose(key)
	}
	if err := s.purge(t.Context()); err == nil || w.first() != 1 {
		t.Errorf("first %d: %v", w.first(), err)
	}
}

// given a leaf that a store has lost, or has otherwise, since it was sealed, when it is time to purge, then nothing is, and the
// object is named; and once it is as it was, what is due goes.
func TestNothingIsPurgedThatAStoreDoesNotHoldLeafByLeaf(t *testing.T) {
	for name, instead := range map[string]func(body []byte) []byte{
		"lost":    func([]byte) []byte { return nil },
		"altered": func(body []byte) []byte { return bytes.Replace(body, []byte("audit."), []byte("audiT."), 1) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.sealer()
			w.many(600)
			w.seals(s)
			w.pass(2 * time.Hour)
			key := w.epoch().Key(tree.DataTile(300, 1024).Path())
			body := w.objects(tier.Backup)[key]
			if len(body) == 0 {
				t.Fatalf("no %s", key)
			}
			w.replace(tier.Backup, key, instead(body))
			if err := s.purge(t.Context()); err == nil || !strings.Contains(err.Error(), key) || !alarming(err) || w.first() != 1 {
				t.Errorf("first %d: %v", w.first(), err)
			}
			w.stores[tier.Backup].Before(memstore.Open, func(_ context.Context, c memstore.Call) error {
				if c.Key == key {
					return fault.New(fault.Unavailable, fault.Store, "open", errors.New("no answer"))
				}
				return nil
			})
			w.replace(tier.Backup, key, body)
			if err := s.purge(t.Context()); err == nil || alarming(err) || !s.tracks[tier.Backup].unproven.Load() {
				t.Errorf("a store that does not answer proves nothing: %v", err)
			}
			w.stores[tier.Backup].Heal()
			if err := s.purge(t.Context()); err != nil || w.first() != 602 {
				t.Errorf("first %d: %v", w.first(), err)
			}
		})
	}
}

// replace puts other bytes in an object's place, none for nothing at all.
func (w *world) replace(t tier.Tier, key string, body []byte) {
	w.Helper()
	w.stores[t].Lose(key)
	if body == nil {
		return
	}
	if _, err := w.stores[t].Put(w.Context(), key, body, digest.Of(body), objstore.Options{}); err != nil {
		w.Fatal(err)
	}
}
