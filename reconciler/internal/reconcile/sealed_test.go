package reconcile

import (
	"bytes"
	"context"
	"errors"
	"slices"
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

// given a log of which somebody changed a line, when it is asked what it proves, then what was changed counts for nothing.
func TestOnlyWhatIsProvenOfTheSealedLogCounts(t *testing.T) {
	keys, _ := audittest.Keys(t)
	store := memstore.New("primary")
	begun := time.Now().Add(-time.Hour)
	l := audittest.New(t, store, keys, begun)
	want := digest.Of([]byte("media"))
	size := want.Size
	said := func(key string) event.AuditData {
		return event.AuditData{
			IdempotencyKey: key, ObjectKey: event.ObjectKey(key, "wav"), Size: &size, CRC64NVME: digest.EncodeCRC64(want.CRC64), SHA256: want.SHA256,
		}
	}
	l.Say(event.AuditStored, tier.Primary.String(), said("rec-1"))
	l.Say(event.AuditStored, tier.Primary.String(), said("rec-2"))
	l.Mark("the end")
	var doubted []string
	ask := func(keys checkpoint.Keys, key, object string) (inventory.Sealed, error) {
		t.Helper()
		log := &audit.Log{Stores: map[tier.Tier]objstore.Reader{tier.Primary: store}, Keys: keys}
		return Proven(log, func(key string, _ error) { doubted = append(doubted, key) })(t.Context(), key, object)
	}
	check := func(key, object string, want inventory.Sealed, doubts ...string) {
		t.Helper()
		doubted = nil
		if got, err := ask(keys, key, object); err != nil || got != want || !slices.Equal(doubted, doubts) {
			t.Errorf("%s at %s: %+v, doubted %v, %v", key, object, got, doubted, err)
		}
	}
	check("rec-1", event.ObjectKey("rec-1", "wav"), inventory.Sealed{Digest: want})
	check("rec-1", "recordings/other.wav", inventory.Sealed{})
	check("rec-0", event.ObjectKey("rec-0", "wav"), inventory.Sealed{})

	tile := epoch.Of(begun).Key("tile/8/data/000.p/3")
	o, there := store.Object(tile)
	if !there {
		t.Fatal("no data tile")
	}
	o.Body = bytes.Replace(o.Body, []byte(want.SHA256), []byte(digest.Of([]byte("other")).SHA256), 1) // of rec-1, the first
	store.Plant(tile, o)
	check("rec-1", event.ObjectKey("rec-1", "wav"), inventory.Sealed{}, "rec-1")
	check("rec-2", event.ObjectKey("rec-2", "wav"), inventory.Sealed{Digest: want})
	store.Lose(tile)
	check("rec-2", event.ObjectKey("rec-2", "wav"), inventory.Sealed{}, "rec-2")

	store.Before(memstore.Open, memstore.Always(fault.New(fault.Unavailable, fault.Store, "read", errors.New("down"))))
	doubted = nil
	if got, err := ask(keys, "rec-2", event.ObjectKey("rec-2", "wav")); err == nil || len(doubted) > 0 {
		t.Errorf("while the store is down: %+v, doubted %v", got, doubted)
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
	at := time.Now().Add(-time.Hour)
	b.sealed = []inventory.Entry{{
		IdempotencyKey: e.Data.IdempotencyKey, ObjectKey: e.Data.ObjectKey, First: at, Newest: at, Sealed: inventory.Sealed{Digest: digest.Of([]byte("forged"))},
	}}
	b.proven = func(context.Context, string, string) (inventory.Sealed, error) { return inventory.Sealed{}, nil }
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
