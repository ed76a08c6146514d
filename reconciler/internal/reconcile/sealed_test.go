package reconcile

import (
	"testing"

	"github.com/twinreel/twinreel/pkg/digest"
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
