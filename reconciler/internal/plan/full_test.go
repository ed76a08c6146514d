package plan

import (
	"math"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
)

func TestAFullRunHasToDoWithAsManyAsTheLastOrAsTheStreamHolds(t *testing.T) {
	for name, c := range map[string]struct {
		last   Last
		events uint64
		want   int64
	}{
		"the first run":      {Last{}, 7, 7},
		"a store of many":    {Last{Primary: 200, Backup: 300}, 7, 150},
		"more have come":     {Last{Primary: 200, Backup: 300}, 151, 151},
		"more than there is": {Last{}, math.MaxUint64, math.MaxInt64},
	} {
		if got := c.last.recordings(c.events); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// given two copies that agree with each other, when their size is not what was sealed, or the log contradicts itself, then a
// closer look is due, whoever's turn it is.
func TestWhatWasSealedOtherwiseIsLookedAtAtOnce(t *testing.T) {
	d := digest.Of(content)
	for name, c := range map[string]struct {
		sealed inventory.Sealed
		want   int
	}{
		"nothing was sealed": {inventory.Sealed{}, 0},
		"the same":           {inventory.Sealed{Digest: d}, 0},
		"another size":       {inventory.Sealed{Digest: digest.Of([]byte("x"))}, 1},
		"in two ways":        {inventory.Sealed{Digest: d, Torn: true}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSieve(Rules{Now: now, Retention: time.Hour}, t.TempDir(), func(string) bool { return false })
			defer func() { _ = s.found.traces.Close() }()
			for _, key := range []string{mediaAt, sideAt} {
				size := d.Size
				if key == sideAt {
					size = 900
				}
				there := &inventory.Listed{Key: key, Size: size, Versions: 1, Visible: true, Alike: true}
				e := inventory.Entry{IdempotencyKey: id, ObjectKey: mediaAt, First: now, Newest: now, Sealed: c.sealed}
				if err := s.row(&inventory.Row{Key: key, Primary: there, Backup: there, Ledger: &e}); err != nil {
					t.Fatal(err)
				}
			}
			if s.found.traces.Len() != c.want {
				t.Errorf("%d rows are looked at, want %d", s.found.traces.Len(), c.want)
			}
		})
	}
}
