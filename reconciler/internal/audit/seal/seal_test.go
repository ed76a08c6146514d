package seal

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit/tree"
)

func readers(stores map[tier.Tier]*memstore.Store) map[tier.Tier]objstore.Reader {
	out := map[tier.Tier]objstore.Reader{}
	for t, s := range stores {
		out[t] = s
	}
	return out
}

func TestWhatTheStreamHoldsIsSealedInBothStores(t *testing.T) {
	w := newWorld(t)
	w.stored(5)
	s := w.sealer()
	w.seals(s)
	w.same()
	e := w.epoch()
	if n := w.size(tier.Primary, e); n != 6 {
		t.Errorf("sealed to %d, want 6: five events and a mark", n)
	}
	before := w.stores[tier.Primary].Keys()
	w.seals(s)
	w.seals(w.sealer())
	if w.stores[tier.Primary].Keys() != before || w.size(tier.Backup, e) != 6 {
		t.Error("nothing new, and yet something was written")
	}
	w.many(700)
	w.seals(s)
	w.same()
	leaves, err := w.reader().Find(t.Context(), "rec-2")
	if err != nil || len(leaves) != 2 || leaves[0].Tier() != "primary" || leaves[1].Tier() != "backup" {
		t.Errorf("got %+v, %v", leaves, err)
	}
	if leaves, err = w.reader().Find(t.Context(), "rec-300"); err != nil || len(leaves) != 2 {
		t.Errorf("got %+v, %v", leaves, err)
	}
}

func TestTwoLeadersAtOnceWriteTheSame(t *testing.T) {
	w := newWorld(t)
	one, two := w.sealer(), w.sealer()
	for range 3 {
		w.many(300)
		var all sync.WaitGroup
		for _, s := range []*Sealer{one, two} {
			all.Go(func() {
				if err := s.Once(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	w.seals(one)
	w.same()
	if a := w.alarms(); len(a) > 0 {
		t.Errorf("alarms: %v", a)
	}
}

func TestAStoreThatWasAwayIsCompletedFromTheStream(t *testing.T) {
	w := newWorld(t)
	s := w.sealer()
	w.many(300)
	w.seals(s)
	w.away(tier.Backup)
	w.many(300)
	if err := s.Once(t.Context()); err == nil {
		t.Error("a store is away, and nobody says so")
	}
	e := w.epoch()
	if p, b := w.size(tier.Primary, e), int64(301); p != 602 {
		t.Errorf("sealed to %d and %d, want 602 and 301", p, b)
	}
	w.stores[tier.Backup].Heal()
	w.seals(s)
	w.same()
}

// away takes a store away.
func (w *world) away(t tier.Tier) {
	for _, op := range []memstore.Op{memstore.Put, memstore.Stat, memstore.Open, memstore.List} {
		w.stores[t].Before(op, memstore.Always(fault.New(fault.Denied, fault.Store, string(op), errors.New("away"))))
	}
}

func TestAStoreThatWasAwayWhileTheStreamWasPurgedIsCompletedFromTheOther(t *testing.T) {
	w := newWorld(t)
	s := w.sealer()
	w.many(100)
	w.seals(s)
	w.away(tier.Backup)
	w.many(700)
	_ = s.Once(t.Context())
	w.many(300)
	_ = s.Once(t.Context())
	e := w.epoch()
	end := w.size(tier.Primary, e)
	w.purged(uint64(end) - 10)
	w.many(50)
	w.stores[tier.Backup].Heal()
	w.seals(s)
	w.same()
	if a := w.alarms(); len(a) > 0 || w.size(tier.Backup, e) != end+51 {
		t.Errorf("alarms %v, size %d, want %d", a, w.size(tier.Backup, e), end+51)
	}
}

// purged purges the stream up to a sequence.
func (w *world) purged(through uint64) {
	w.Helper()
	s, err := w.js.Stream(w.Context(), queue.Audit)
	if err != nil {
		w.Fatal(err)
	}
	if err := s.Purge(w.Context(), jetstream.WithPurgeSequence(through+1)); err != nil {
		w.Fatal(err)
	}
}

func TestWhatIsPurgedIsNeverTakenForLostWhileTheOtherStoreIsAway(t *testing.T) {
	w := newWorld(t)
	s := w.sealer()
	w.many(10)
	w.seals(s)
	w.away(tier.Backup)
	w.many(300)
	_ = s.Once(t.Context())
	w.purged(200)
	w.many(10)
	w.stores[tier.Backup].Heal()
	w.away(tier.Primary)
	before := w.stores[tier.Backup].Keys()
	w.pass(48 * time.Hour)
	for range 2 {
		if err := s.Once(t.Context()); err == nil {
			t.Fatal("it is sealed without what is missing")
		}
	}
	if n := w.stores[tier.Backup].Keys(); n != before {
		t.Errorf("%d objects were written", n-before)
	}
	w.stores[tier.Primary].Heal()
	w.seals(s)
	w.same()
	if a := w.alarms(); len(a) > 0 {
		t.Errorf("alarms: %v", a)
	}
}

func TestALostMessageBecomesAGapAndAnAlarm(t *testing.T) {
	w := newWorld(t)
	w.many(20)
	w.lose(7)
	w.lose(8)
	w.seals(w.sealer())
	w.same()
	if a := w.alarms(); len(a) == 0 || !strings.Contains(a[0], "gaps") {
		t.Errorf("alarms: %v", a)
	}
	lines, _, err := tree.Lines(t.Context(), w.stores[tier.Backup], w.epoch(), 6, 21)
	if err != nil || string(lines[6]) != `{"sequence":7,"gap":true}`+"\n" || string(lines[7]) != `{"sequence":8,"gap":true}`+"\n" {
		t.Errorf("got %q, %v", lines, err)
	}
}

// lose removes a message from the stream.
func (w *world) lose(seq uint64) {
	w.Helper()
	s, err := w.js.Stream(w.Context(), queue.Audit)
	if err != nil {
		w.Fatal(err)
	}
	if err := s.DeleteMsg(w.Context(), seq); err != nil {
		w.Fatal(err)
	}
}

// given a message that one store has sealed before it was lost, when the other store catches up, then it gets the message.
func TestAMessageThatOneStoreHasIsNoGapInTheOther(t *testing.T) {
	w := newWorld(t)
	s := w.sealer()
	w.many(2)
	w.seals(s)
	w.away(tier.Primary)
	w.many(20)
	_ = s.Once(t.Context())
	w.lose(7)
	w.stores[tier.Primary].Heal()
	w.seals(s)
	w.same()
	if a := w.alarms(); len(a) > 0 {
		t.Errorf("alarms: %v", a)
	}
}

func TestAStreamMadeAnewBeginsAnEpochThatNamesTheOldOne(t *testing.T) {
	w := newWorld(t)
	s := w.sealer()
	w.many(30)
	w.seals(s)
	old := w.epoch()
	w.away(tier.Backup)
	w.many(30)
	_ = s.Once(t.Context())
	w.stream(0)
	w.many(10)
	if err := s.Once(t.Context()); err == nil || w.size(tier.Primary, w.epoch()) != 0 {
		t.Fatalf("an epoch begins although a store has not said what it follows on: %v", err)
	}
	w.stores[tier.Backup].Heal()
	w.seals(s)
	w.pass(2 * olderEvery)
	w.seals(s)
	w.same()
	note, serial, err := last(w, tier.Backup)
	if err != nil || serial != 1 || note.Previous.Epoch != old || note.Previous.Size != 62 {
		t.Errorf("checkpoint %d: %+v %v", serial, note, err)
	}
	if a := w.alarms(); len(a) != 1 || !strings.Contains(a[0], "made anew") {
		t.Errorf("alarms: %v", a)
	}
	leaves, err := w.reader().Find(t.Context(), "rec-5")
	if err != nil || len(leaves) != 2 || leaves[0].Epoch != old {
		t.Errorf("the old epoch's: %+v, %v", leaves, err)
	}
}

// given another region whose log is in the same stores and goes on, when this region's begins, then it names the other's as the
// one before, and nobody is alarmed; when it cannot be asked, somebody is.
func TestTheLogOfASecondRegionBeginsWithoutAlarm(t *testing.T) {
	const shared = "test40"
	for _, heard := range []bool{true, false} {
		pnc, pjs := testenv.Peer(t, shared)
		other := worldOn(t, pnc, pjs)
		nc, js := testenv.Account(t, shared)
		w := worldOn(t, nc, js)
		w.stores, w.keys = other.stores, other.keys
		other.many(10)
		other.seals(other.sealer())
		w.many(10)
		s := w.sealer()
		domain := testenv.PeerDomain
		if !heard {
			domain = "nowhere"
		}
		var err error
		if s.Peer, err = (queue.Peer{Domain: domain}).JetStream(js); err != nil {
			t.Fatal(err)
		}
		w.seals(s)
		other.many(10)
		other.seals(other.sealer())
		c, _, err := last(w, tier.Primary)
		if err != nil || c.Previous.Epoch != other.epoch() {
			t.Errorf("heard %v: it follows %+v, %v", heard, c.Previous, err)
		}
		if a := w.alarms(); heard != (len(a) == 0) {
			t.Errorf("heard %v: alarms %v", heard, a)
		}
	}
}

// given a region whose stream is made anew, when the other region's log, which goes on, began after the old stream's, then
// somebody is alarmed all the same: what was not sealed of the old stream is lost.
func TestAStreamMadeAnewBesideASecondRegionRaisesTheAlarm(t *testing.T) {
	const shared = "test40"
	pnc, pjs := testenv.Peer(t, shared)
	nc, js := testenv.Account(t, shared)
	w := worldOn(t, nc, js)
	w.many(10)
	w.seals(w.sealer())
	other := worldOn(t, pnc, pjs)
	other.stores, other.keys = w.stores, w.keys
	other.many(10)
	other.seals(other.sealer())

	w.stream(0)
	w.many(10)
	s := w.sealer()
	var err error
	if s.Peer, err = (queue.Peer{Domain: testenv.PeerDomain}).JetStream(js); err != nil {
		t.Fatal(err)
	}
	w.seals(s)
	if a := w.alarms(); len(a) != 1 {
		t.Errorf("alarms: %v, want one", a)
	}
}

func TestNoMarkIsPublishedBeforeItIsTime(t *testing.T) {
	w := newWorld(t)
	s := w.sealer()
	s.prepare()
	step := func() {
		t.Helper()
		for range 2 {
			if err := s.advance(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.mark(t.Context(), false); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.Pace.Messages = 100
	w.many(10)
	step()
	if n := w.size(tier.Primary, w.epoch()); n != 0 {
		t.Fatalf("sealed to %d", n)
	}
	w.pass(s.Pace.Age + time.Second)
	step()
	if n := w.size(tier.Primary, w.epoch()); n != 11 {
		t.Fatalf("sealed to %d, want 11", n)
	}
	w.pass(-s.Pace.Age - time.Second)
	w.many(100)
	step()
	if n := w.size(tier.Primary, w.epoch()); n != 112 {
		t.Fatalf("sealed to %d, want 112", n)
	}
}

// A worker's user may publish below audit.*.<its tier>; nothing it says moves the log.
func TestOnlyTheLeadersMarksSeal(t *testing.T) {
	w := newWorld(t)
	if _, err := w.js.Publish(t.Context(), queue.AuditSubject(string(event.AuditMark), "primary"), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	w.seals(w.sealer())
	if n := w.size(tier.Primary, w.epoch()); n != 2 {
		t.Errorf("sealed to %d, want 2", n)
	}
	if c, serial, err := last(w, tier.Primary); serial != 1 || err != nil {
		t.Errorf("%+v %v", c, err)
	}
}
