package seal

import (
	"context"
	"errors"
	"testing"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

// given a leader that dies at its n-th write, before it takes effect or after, when another leads, then the log is as if
// nothing had happened.
func TestALeaderThatDiesAtAnyWriteIsFinishedByTheNext(t *testing.T) {
	w := newWorld(t)
	died := fault.New(fault.Permanent, fault.Store, "put", errors.New("killed"))
	done := false
	for n := 1; !done; n += 1 + n/8 {
		w.many(130)
		for _, after := range []bool{false, true} {
			ctx, kill := context.WithCancel(t.Context())
			base := w.stores[tier.Primary].Calls(memstore.Put)
			hook := func(_ context.Context, c memstore.Call) error { // a write may outlast the sealer that was killed
				if c.N >= n+base {
					kill()
					return died
				}
				return nil
			}
			if after {
				w.stores[tier.Primary].After(memstore.Put, hook)
			} else {
				w.stores[tier.Primary].Before(memstore.Put, hook)
			}
			err := w.sealer().Once(ctx)
			done = err == nil && ctx.Err() == nil
			kill()
			w.stores[tier.Primary].Heal()
			w.many(10)
		}
		if n > 200 {
			t.Fatal("it never gets to its end")
		}
	}
	w.seals(w.sealer())
	w.same()
	if a := w.alarms(); len(a) > 0 {
		t.Errorf("alarms: %v", a)
	}
	if n := w.size(tier.Primary, w.epoch()); n < 150 {
		t.Errorf("sealed to %d", n)
	}
}

// given a store that takes every write and loses the answer, when it is sealed, then it is sealed.
func TestLostAnswersAreLookedUp(t *testing.T) {
	w := newWorld(t)
	lost := fault.New(fault.Transient, fault.Store, "put", errors.New("connection reset"))
	w.stores[tier.Backup].After(memstore.Put, func(_ context.Context, c memstore.Call) error {
		if c.N%2 == 1 {
			return lost
		}
		return nil
	})
	w.many(3)
	w.seals(w.sealer())
	w.same()
}

// given an object that somebody has put in the way, when it is sealed, then that store's log stops with an alarm, and the other
// goes on.
func TestHistoryThatWasRewrittenStopsTheLogInThatStoreAlone(t *testing.T) {
	w := newWorld(t)
	s := w.sealer()
	w.many(10)
	w.seals(s)
	e := w.epoch()
	w.stores[tier.Backup].Plant(e.Key("tile/8/0/000"), memstore.Object{Body: make([]byte, 256*32)})
	w.many(300)
	err := s.Once(t.Context())
	if err == nil || !alarming(err) {
		t.Errorf("got %v", err)
	}
	if p, b := w.size(tier.Primary, e), w.size(tier.Backup, e); p != 312 || b != 11 {
		t.Errorf("sealed to %d and %d", p, b)
	}
	if o, _ := w.stores[tier.Backup].Object(e.Key("tile/8/0/000")); string(o.Body) != string(make([]byte, 256*32)) {
		t.Error("what was in the way was overwritten")
	}
}

// given a checkpoint, or a tile at the right edge, that was changed, when a leader begins, then it builds nothing on it.
func TestNothingIsBuiltOnWhatWasChanged(t *testing.T) {
	w := newWorld(t)
	w.many(10)
	w.seals(w.sealer())
	e := w.epoch()
	for _, rest := range []string{"checkpoint/00000000000000000001", "tile/8/0/000.p/11", "tile/8/data/000.p/11"} {
		o, ok := w.stores[tier.Primary].Object(e.Key(rest))
		if !ok {
			t.Fatalf("%s is not there", rest)
		}
		changed := o
		changed.Body = append([]byte{}, o.Body...)
		changed.Body[40] ^= 1
		w.stores[tier.Primary].Plant(e.Key(rest), changed)
		w.many(1)
		before := w.stores[tier.Primary].Keys()
		if err := w.sealer().Once(t.Context()); err == nil || !alarming(err) {
			t.Errorf("%s: got %v", rest, err)
		}
		if w.stores[tier.Primary].Keys() != before {
			t.Errorf("%s: something was built on it", rest)
		}
		w.stores[tier.Primary].Plant(e.Key(rest), o)
	}
	w.seals(w.sealer())
	w.same()
}

// given two stores of which one was sealed from another truth, when a leader goes on, then neither is taken for the right one.
func TestStoresThatContradictEachOtherStop(t *testing.T) {
	w := newWorld(t)
	w.many(10)
	w.seals(w.sealer())
	for key := range w.objects(tier.Backup) {
		w.stores[tier.Backup].Lose(key)
	}
	w.lose(3)
	backup := w.stores[tier.Primary]
	w.stores[tier.Primary] = memstore.New("empty")
	w.seals(w.sealer()) // sees a gap where the first saw a message
	w.stores[tier.Primary] = backup
	w.many(1)
	err := w.sealer().Once(t.Context())
	if !errors.Is(err, ErrDiverged) {
		t.Errorf("got %v", err)
	}
}
