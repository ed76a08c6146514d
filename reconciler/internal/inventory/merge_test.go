package inventory

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// paged yields a list in pages of n, and then err unless it is nil.
func paged[T any](list []T, n int, err error) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		for page := range slices.Chunk(list, n) {
			if !yield(page, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

func listed(keys ...string) (out []Listed) {
	for _, k := range keys {
		out = append(out, Listed{Key: k, Versions: 1, Visible: true})
	}
	return out
}

func expected(keys ...string) (out []Expected) {
	for _, k := range keys {
		out = append(out, Expected{Key: k, Entry: Entry{IdempotencyKey: k}})
	}
	return out
}

// given any three ordered lists, in pages of any length, when they are merged, then each key comes once, in order, with
// those who have it.
func TestEachKeyComesOnceWithThoseWhoHaveIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) []string {
			set := rapid.MapOfN(rapid.StringMatching(`[a.\-/]{0,3}`), rapid.Bool(), 0, 12).Draw(t, name)
			return slices.Sorted(maps.Keys(set))
		}
		p, b, l := draw("primary"), draw("backup"), draw("ledger")
		size := rapid.IntRange(1, 5).Draw(t, "page")
		var got []string
		counts, err := Merge(paged(listed(p...), size, nil), paged(listed(b...), size, nil), paged(expected(l...), size, nil), func(r *Row) error {
			got = append(got, r.Key)
			if (r.Primary != nil) != slices.Contains(p, r.Key) || (r.Backup != nil) != slices.Contains(b, r.Key) || (r.Ledger != nil) != slices.Contains(l, r.Key) {
				t.Errorf("%q: %+v", r.Key, r)
			}
			if r.Primary != nil && r.Primary.Key != r.Key || r.Ledger != nil && r.Ledger.IdempotencyKey != r.Key {
				t.Errorf("%q: another key's: %+v", r.Key, r)
			}
			return nil
		})
		want := slices.Concat(p, b, l)
		slices.Sort(want)
		if want = slices.Compact(want); err != nil || !slices.Equal(got, want) {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
		if counts != (Counts{int64(len(want)), int64(len(p)), int64(len(b)), int64(len(l))}) {
			t.Fatalf("counted %+v", counts)
		}
	})
}

func TestAListThatIsOutOfOrderOrBreaksOffIsAnError(t *testing.T) {
	broken := errors.New("the store is away")
	good := func() iter.Seq2[[]Listed, error] { return paged(listed("a", "b"), 1, nil) }
	ledger := func(err error, keys ...string) iter.Seq2[[]Expected, error] { return paged(expected(keys...), 2, err) }
	for name, c := range map[string]struct {
		p, b iter.Seq2[[]Listed, error]
		l    iter.Seq2[[]Expected, error]
		want string
	}{
		"primary descends":              {paged(listed("b", "a"), 2, nil), good(), ledger(nil), `the listing of primary is out of order: "a" follows "b"`},
		"backup has a key twice":        {good(), paged(listed("a", "a"), 1, nil), ledger(nil), "the listing of backup is out of order"},
		"the ledger descends":           {good(), good(), ledger(nil, "b", "a"), "the ledger is out of order"},
		"backup breaks off":             {good(), paged(listed("a"), 1, broken), ledger(nil, "a"), "the listing of backup: the store is away"},
		"primary breaks off at once":    {paged[Listed](nil, 1, broken), good(), ledger(nil), "the listing of primary: the store is away"},
		"the ledger cannot be read on":  {good(), good(), ledger(broken, "a"), "the ledger: the store is away"},
		"an empty key comes twice, too": {paged(listed("", ""), 1, nil), good(), ledger(nil), "out of order"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Merge(c.p, c.b, c.l, func(*Row) error { return nil })
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestAVisitorsErrorEndsTheMerge(t *testing.T) {
	enough, seen := errors.New("enough"), 0
	_, err := Merge(paged(listed("a", "b", "c"), 1, nil), paged[Listed](nil, 1, nil), paged[Expected](nil, 1, nil), func(*Row) error {
		if seen++; seen == 2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || seen != 2 {
		t.Errorf("got %v after %d", err, seen)
	}
}

func TestEntriesAreReadBackAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEntry(t)
		got, err := decode(e.encode())
		if err != nil || got != e {
			t.Fatalf("got %+v, %v; want %+v", got, err, e)
		}
		b := e.encode()
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if _, err := decode(b[:cut]); err == nil {
			t.Fatalf("%d of %d bytes are read as a whole entry", cut, len(b))
		}
	})
}

func ExampleMerge() {
	primary := paged(listed("recordings/a.wav", "recordings/stranger"), 10, nil)
	backup := paged(listed("recordings/a.wav", "recordings/b.wav"), 10, nil)
	ledger := paged(expected("recordings/a.wav", "recordings/b.wav"), 10, nil)
	_, _ = Merge(primary, backup, ledger, func(r *Row) error {
		fmt.Println(r.Key, r.Primary != nil, r.Backup != nil, r.Ledger != nil)
		return nil
	})
	// Output:
	// recordings/a.wav true true true
	// recordings/b.wav false true true
	// recordings/stranger true false false
}
