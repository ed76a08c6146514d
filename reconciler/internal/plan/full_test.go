package plan

import (
	"math"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
)

func TestAFullRunMakesRoomForWhatTheLastOneListedAndForWhatTheStreamHolds(t *testing.T) {
	for name, c := range map[string]struct {
		last   Last
		events uint64
		want   int64
	}{
		"the first run":      {Last{}, 7, 7},
		"a store of many":    {Last{Primary: 200, Backup: 300}, 7, 157},
		"more have come":     {Last{Primary: 200, Backup: 300}, 151, 301},
		"more than there is": {Last{Primary: 200}, math.MaxUint64, math.MaxInt64},
	} {
		if got := c.last.recordings(c.events); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// given recordings that have run their course, when a run takes its closer look, then it asks for none that is gone, and for
// what backup still has of one in its turn only.
func TestWhatHasRunItsCourseIsLookedAtInItsTurn(t *testing.T) {
	old, young := now.AddDate(-8, 0, 0), now.Add(-time.Hour)
	for name, c := range map[string]struct {
		seen      [2]bool
		first     time.Time
		forgotten bool
		listed    bool
		due, want bool
	}{
		"erased and gone":                  {first: young, forgotten: true, listed: true, want: true},
		"erased and gone, due":             {first: young, forgotten: true, listed: true, due: true, want: true},
		"erased and still there":           {seen: [2]bool{false, true}, first: young, forgotten: true, listed: true},
		"past retention and gone":          {first: old, listed: true, due: true, want: true},
		"past retention, a copy":           {seen: [2]bool{false, true}, first: old, listed: true, want: true},
		"past retention, a copy, due":      {seen: [2]bool{false, true}, first: old, listed: true, due: true},
		"past retention, in primary":       {seen: [2]bool{true, false}, first: old, listed: true},
		"past retention, not in a listing": {first: old},
		"young and gone":                   {first: young, listed: true},
	} {
		t.Run(name, func(t *testing.T) {
			x := &Examiner{Rules: Rules{Now: now, Retention: 2555 * 24 * time.Hour}, Due: func(string) bool { return c.due }}
			s := Subject{Key: id, Entry: &inventory.Entry{First: c.first, Newest: c.first}, Listed: c.listed, Seen: c.seen}
			if got := x.over(s, c.forgotten); got != c.want {
				t.Errorf("got %v", got)
			}
		})
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
