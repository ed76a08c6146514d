package inventory

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
)

func anyEntry(t *rapid.T) Entry {
	first := time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "first")).UTC()
	return Entry{
		IdempotencyKey: rapid.StringMatching(`[a-c]{1,2}`).Draw(t, "key"), ObjectKey: rapid.SampledFrom([]string{"recordings/a.wav", "recordings/a.mp3"}).Draw(t, "object"),
		First: first, Newest: first.Add(time.Duration(rapid.IntRange(0, 1e6).Draw(t, "later")) * time.Millisecond),
		Sequence: rapid.Uint64().Draw(t, "sequence"), Peer: rapid.Uint64().Draw(t, "peer"), Forgotten: rapid.Bool().Draw(t, "forgotten"),
		Sealed: rapid.SampledFrom([]Sealed{{}, {Digest: digest.Of([]byte("a"))}, {Digest: digest.Of([]byte("b")), Torn: true}}).Draw(t, "sealed"),
		Tiers: [2]Hands{
			{rapid.Bool().Draw(t, "open"), rapid.Uint64().Draw(t, "redrive"), rapid.Uint64().Draw(t, "sent"), rapid.Bool().Draw(t, "followed")}, {rapid.Bool().Draw(t, "open too"), rapid.Uint64().Draw(t, "redrive too"), rapid.Uint64().Draw(t, "sent too"), rapid.Bool().Draw(t, "followed too")},
		},
	}
}

// given any events, more than memory holds and several of one recording, when the ledger is read, then each key that must
// be there comes once, in order, with all that its events say.
func TestTheLedgerHasEachKeyOnceWithAllThatItsEventsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := NewLedger("")
		defer func() { _ = l.Close() }()
		want := map[string]*Entry{}
		for i := range rapid.IntRange(0, 3000).Draw(t, "events") {
			id := fmt.Sprintf("rec-%d", (i*7919)%1700)
			e := Entry{IdempotencyKey: id, ObjectKey: event.ObjectKey(id, "wav"), First: time.UnixMilli(int64(10000 - i)).UTC(), Newest: time.UnixMilli(int64(10000 - i)).UTC(), Sequence: uint64(i + 1)}
			e.Tiers[i%2].Open = i%5 == 0
			if err := l.Add(e); err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{e.ObjectKey, event.SidecarKey(id)} {
				if old := want[key]; old != nil {
					old.Add(e)
				} else {
					one := e
					want[key] = &one
				}
			}
		}
		last, n := "", 0
		for page, err := range l.Pages() {
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range page {
				if x.Key <= last && last != "" || want[x.Key] == nil || x.Entry != *want[x.Key] {
					t.Fatalf("%q after %q: %+v, want %+v", x.Key, last, x.Entry, want[x.Key])
				}
				last, n = x.Key, n+1
			}
		}
		if n != len(want) {
			t.Fatalf("%d keys, want %d", n, len(want))
		}
	})
}

func TestBoundsPartTheLedgerEvenly(t *testing.T) {
	l := NewLedger("")
	defer func() { _ = l.Close() }()
	for i := range 1000 {
		id := fmt.Sprintf("rec-%04d", i)
		if err := l.Add(Entry{IdempotencyKey: id, ObjectKey: event.ObjectKey(id, "wav")}); err != nil {
			t.Fatal(err)
		}
	}
	bounds, err := l.Bounds(7)
	if err != nil || len(bounds) != 7 || !slices.IsSorted(bounds) {
		t.Fatalf("got %v, %v", bounds, err)
	}
	part := make([]int, 8)
	for page, err := range l.Pages() {
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range page {
			i, _ := slices.BinarySearch(bounds, x.Key) // keys up to a bound are before it
			part[i]++
		}
	}
	for _, n := range part {
		if n < 240 || n > 260 {
			t.Errorf("parts of %v keys", part)
			break
		}
	}
	empty := NewLedger("")
	if bounds, err := empty.Bounds(7); err != nil || len(bounds) != 0 {
		t.Errorf("of nothing: %v, %v", bounds, err)
	}
}
