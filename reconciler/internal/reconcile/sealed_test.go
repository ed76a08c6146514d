package reconcile

import (
	"slices"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/tier"
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
