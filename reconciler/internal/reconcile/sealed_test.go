package reconcile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/audit/audittest"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/index"
	"github.com/twinreel/twinreel/reconciler/internal/audit/roster"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
)

func TestALineThatLacksAPartOfTheDigestTellsNone(t *testing.T) {
	want := digest.Of([]byte("media"))
	whole := func() roster.Line {
		size := want.Size
		return roster.Line{ObjectKey: "recordings/a.wav", IdempotencyKey: "a", Size: &size, CRC64NVME: digest.EncodeCRC64(want.CRC64), SHA256: want.SHA256}
	}
	if got := sealed(whole()); got != (inventory.Sealed{Digest: want}) {
		t.Errorf("got %+v", got)
	}
	for name, change := range map[string]func(*roster.Line){
		"no size":          func(l *roster.Line) { l.Size = nil },
		"no checksum":      func(l *roster.Line) { l.CRC64NVME = "" },
		"no SHA-256":       func(l *roster.Line) { l.SHA256 = "" },
		"another checksum": func(l *roster.Line) { l.CRC64NVME = "x" },
		"another SHA-256":  func(l *roster.Line) { l.SHA256 = "x" },
		"half a SHA-256":   func(l *roster.Line) { l.SHA256 = l.SHA256[:32] },
	} {
		l := whole()
		l.Differs = true
		change(&l)
		if got := sealed(l); got != (inventory.Sealed{Torn: true}) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// claims is what a roster says of a recording.
func claims(key, object string, d digest.Digest) inventory.Entry {
	at := time.Now().Add(-time.Hour)
	return inventory.Entry{IdempotencyKey: key, ObjectKey: object, First: at, Newest: at, Sealed: inventory.Sealed{Digest: d}}
}

// vaults are two stores with the same log in each, and how it is read.
type vaults struct {
	*testing.T
	stores  map[tier.Tier]*memstore.Store
	keys    checkpoint.Keys
	epoch   epoch.ID
	media   digest.Digest // what the log says of each recording
	doubted int
}

// sealedIn makes the log of n recordings in those stores.
func sealedIn(t *testing.T, n int, stores ...tier.Tier) *vaults {
	t.Helper()
	keys, _ := audittest.Keys(t)
	begun := time.Now().Add(-time.Hour)
	v := &vaults{T: t, stores: map[tier.Tier]*memstore.Store{}, keys: keys, epoch: epoch.Of(begun), media: digest.Of([]byte("media"))}
	for _, name := range tier.All() {
		v.stores[name] = memstore.New(name.String())
		if !slices.Contains(stores, name) {
			continue
		}
		l := audittest.New(t, v.stores[name], keys, begun)
		for i := range n {
			key := fmt.Sprintf("rec-%d", i)
			size := v.media.Size
			l.Say(event.AuditStored, tier.Primary.String(), event.AuditData{
				IdempotencyKey: key, ObjectKey: event.ObjectKey(key, "wav"), Size: &size, CRC64NVME: digest.EncodeCRC64(v.media.CRC64), SHA256: v.media.SHA256,
			})
		}
		l.Mark("the end")
	}
	return v
}

// ask asks what is proven of rec-0, of which the true digest is claimed.
func (v *vaults) ask() (map[string]inventory.Sealed, error) { return v.asks(v.media) }

func (v *vaults) asks(claimed digest.Digest) (map[string]inventory.Sealed, error) {
	v.Helper()
	v.doubted = 0
	log := &audit.Log{Stores: map[tier.Tier]objstore.Reader{}, Keys: v.keys}
	for name, s := range v.stores {
		log.Stores[name] = s
	}
	return Proven(log, func(string, error) { v.doubted++ })(v.Context(), claims("rec-0", rec0, claimed))
}

const rec0 = "recordings/rec-0.wav"

// change changes an object of one store's log.
func (v *vaults) change(name tier.Tier, key string, change func([]byte) []byte) {
	v.Helper()
	o, there := v.stores[name].Object(key)
	if !there {
		v.Fatalf("no %s", key)
	}
	if o.Body = change(bytes.Clone(o.Body)); o.Body == nil {
		v.stores[name].Lose(key)
		return
	}
	v.stores[name].Plant(key, o)
}

func otherDigest(v *vaults) func([]byte) []byte {
	return func(b []byte) []byte {
		return bytes.Replace(b, []byte(v.media.SHA256), []byte(digest.Of([]byte("other")).SHA256), 1) // of rec-0, the first
	}
}

func gone([]byte) []byte { return nil }

// given a log of which somebody changed something in one store, or in both, when it is asked what it proves, then what either
// store's copy proves counts, what is claimed and not proven is told, and no answer is no proof of anything.
func TestOnlyWhatIsProvenOfTheSealedLogCounts(t *testing.T) {
	const tile = "tile/8/data/000.p/4"
	all := tier.All()
	both := all[:]
	slow := fault.New(fault.Throttled, fault.Store, "open", errors.New("slow down"))
	for name, c := range map[string]struct {
		in      []tier.Tier
		change  func(v *vaults)
		proven  bool
		doubted bool
		away    bool
	}{
		"whole":                              {both, func(*vaults) {}, true, false, false},
		"in one store":                       {[]tier.Tier{tier.Backup}, func(*vaults) {}, true, false, false},
		"a leaf changed in one store":        {both, func(v *vaults) { v.change(tier.Primary, v.epoch.Key(tile), otherDigest(v)) }, true, false, false},
		"a tile lost in one store":           {both, func(v *vaults) { v.change(tier.Backup, v.epoch.Key(tile), gone) }, true, false, false},
		"a leaf changed in the only store":   {[]tier.Tier{tier.Primary}, func(v *vaults) { v.change(tier.Primary, v.epoch.Key(tile), otherDigest(v)) }, false, true, false},
		"a tile lost in the only store":      {[]tier.Tier{tier.Primary}, func(v *vaults) { v.change(tier.Primary, v.epoch.Key(tile), gone) }, false, true, false},
		"the only store that has it is slow": {[]tier.Tier{tier.Primary}, func(v *vaults) { v.stores[tier.Primary].Before(memstore.List, memstore.Always(slow)) }, false, false, true},
		"lost in one store, the other slow": {both, func(v *vaults) {
			v.change(tier.Primary, v.epoch.Key(tile), gone)
			v.stores[tier.Backup].Before(memstore.Open, func(_ context.Context, c memstore.Call) error {
				if strings.HasSuffix(c.Key, tile) {
					return slow
				}
				return nil
			})
		}, false, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			v := sealedIn(t, 3, c.in...)
			c.change(v)
			got, err := v.ask()
			if c.away != (err != nil) || c.proven != (got[rec0] == inventory.Sealed{Digest: v.media}) || c.doubted != (v.doubted > 0) {
				t.Errorf("%+v, %d times in doubt, %v", got, v.doubted, err)
			}
		})
	}
}

func TestAnIndexChangedInOneStoreHidesNothing(t *testing.T) {
	v := sealedIn(t, 300, tier.Primary, tier.Backup)
	v.change(tier.Primary, index.Segment{Bits: 8}.Key(v.epoch, 0), func(b []byte) []byte {
		for at := 0; at+16 <= len(b); at += 16 {
			if h := index.HashOf("rec-0"); binary.BigEndian.Uint64(b[at:]) == h {
				binary.BigEndian.PutUint64(b[at:], h-1)
			}
		}
		return b
	})
	if got, err := v.ask(); err != nil || got[rec0].Digest != v.media {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAClaimOtherThanWhatIsProvenIsTold(t *testing.T) {
	v := sealedIn(t, 3, tier.Primary, tier.Backup)
	got, err := v.asks(digest.Of([]byte("claimed")))
	if err != nil || got[rec0].Digest != v.media || v.doubted != 1 {
		t.Errorf("%+v, %d times in doubt, %v", got, v.doubted, err)
	}
	if Proven(&audit.Log{}, nil) != nil {
		t.Error("something is proven without keys")
	}
}

// given a recording of which the sealed log claims what it cannot prove, when a run comes to it, then it is not accused, and
// what is fetched again is not held against the claim.
func TestAClaimThatIsNotProvenAccusesNobody(t *testing.T) {
	b := newBed(t)
	all := b.settled(2)
	e := all[1]
	b.sealed = []inventory.Entry{claims(e.Data.IdempotencyKey, e.Data.ObjectKey, digest.Of([]byte("forged")))}
	b.proven = func(context.Context, inventory.Entry) (map[string]inventory.Sealed, error) { return nil, nil }
	if r := b.run(full()); len(b.found(r)) > 0 {
		t.Errorf("found %v", b.found(r))
	}
	b.lose(tier.Primary, e)
	if r := b.run(full()); !slices.Equal(b.found(r), []string{"missing_primary primary " + e.Data.ObjectKey + " copy"}) {
		t.Errorf("lost in one: found %v", b.found(r))
	}
	b.lose(tier.Backup, e)
	b.run(full())
	if sent := b.redrives(tier.Backup); len(sent) != 1 || sent[0].Data.Media.SHA256 != "" {
		t.Errorf("sent %+v", sent)
	}
}

// given a recording that both tiers lost, when the log does not answer at first, or when a line of another object of it was
// invented, then it comes back in the bytes that the log proves, and in no others.
func TestWhatTheLogProvesHoldsForWhatIsSentAgain(t *testing.T) {
	was := digest.Of([]byte("RIFF as it was"))
	for name, c := range map[string]struct {
		lost   int64 // answers of the log
		forged bool
	}{"the log is slow once": {lost: 1}, "a line is invented": {forged: true}} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			all := b.settled(2)
			b.run(full())
			e := all[1]
			key := e.Data.IdempotencyKey
			if c.forged {
				b.sealed = append(b.sealed, claims(key, event.ObjectKey(key, "mp3"), digest.Of([]byte("forged"))))
			}
			b.sealed = append(b.sealed, claims(key, e.Data.ObjectKey, was))
			var asked atomic.Int64
			b.proven = func(context.Context, inventory.Entry) (map[string]inventory.Sealed, error) {
				if asked.Add(1) <= c.lost {
					return nil, fault.New(fault.Throttled, fault.Store, "open", errors.New("slow down"))
				}
				return map[string]inventory.Sealed{e.Data.ObjectKey: {Digest: was}}, nil
			}
			if r := b.run(full()); len(b.found(r)) == 0 {
				t.Error("other bytes in both: nothing is found")
			}
			asked.Store(0)
			for _, x := range tier.All() {
				b.lose(x, e)
			}
			b.run(full())
			for _, x := range tier.All() {
				sent := b.redrives(x)
				if len(sent) != 1 || sent[0].Data.Media.SHA256 != was.SHA256 {
					t.Errorf("sent to %s: %+v", x, sent)
				}
			}
		})
	}
}

// given recordings that are past retention and gone, when a run comes by, then the log is asked about none of them: they grow for
// ever. And a date that the log claims makes no recording expire whose event is known.
func TestTheLogIsNotAskedOfWhatHasRunItsCourse(t *testing.T) {
	b := newBed(t)
	all := b.settled(3)
	b.run(full())
	var asked atomic.Int64
	b.proven = func(context.Context, inventory.Entry) (map[string]inventory.Sealed, error) {
		asked.Add(1)
		return nil, nil
	}
	long := time.Now().AddDate(-8, 0, 0)
	for i := range 4 {
		old := claims(fmt.Sprintf("old-%d", i), event.ObjectKey(fmt.Sprintf("old-%d", i), "wav"), digest.Of([]byte("x")))
		old.First, old.Newest = long, long
		b.sealed = append(b.sealed, old)
	}
	b.run(full())
	if asked.Load() != 0 {
		t.Errorf("the log was asked %d times", asked.Load())
	}
	e := all[1]
	young := claims(e.Data.IdempotencyKey, e.Data.ObjectKey, digest.Of([]byte("RIFF of "+e.Data.IdempotencyKey)))
	young.First = long
	b.sealed = append(b.sealed, young)
	b.lose(tier.Primary, e)
	if r := b.run(full()); !slices.Contains(b.found(r), "missing_primary primary "+e.Data.ObjectKey+" copy") {
		t.Errorf("found %v", b.found(r))
	}
}

// given a recording that both tiers lost after it was sealed, when it is sent again, then no other bytes are taken; and
// where others came by another way, that is found.
func TestWhatWasSealedIsWhatComesBackOrItIsSaid(t *testing.T) {
	b := newBed(t)
	all := b.settled(3)
	b.run(full())
	e := all[1]
	was := digest.Of([]byte("RIFF as it was"))
	at := time.Now().Add(-time.Hour)
	b.sealed = []inventory.Entry{{IdempotencyKey: e.Data.IdempotencyKey, ObjectKey: e.Data.ObjectKey, First: at, Newest: at, Sealed: inventory.Sealed{Digest: was}}}
	both := "checksum_differs all " + e.Data.ObjectKey
	if r := b.run(full()); !slices.Equal(b.found(r), []string{both + " quarantine"}) || r.Repair.Noted != 1 || r.Remaining != 0 {
		t.Fatalf("found %v, noted %d", b.found(r), r.Repair.Noted)
	}
	if r := b.run(full()); !slices.Equal(b.found(r), []string{both + " quarantined"}) {
		t.Errorf("a second time: %v", b.found(r))
	}
	for _, x := range tier.All() {
		b.lose(x, e)
	}
	if r := b.run(full()); !slices.Equal(b.found(r), []string{"missing_both all " + e.Data.ObjectKey + " fetch"}) || r.Repair.Sent != 2 {
		t.Fatalf("lost: found %v, sent %d", b.found(r), r.Repair.Sent)
	}
	for _, x := range tier.All() {
		sent := b.redrives(x)
		if len(sent) != 1 || sent[0].Data.Media.SHA256 != was.SHA256 || *sent[0].Data.Media.Size != was.Size {
			t.Errorf("sent to %s: %+v", x, sent)
		}
	}
}
