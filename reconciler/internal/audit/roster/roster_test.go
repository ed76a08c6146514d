package roster_test

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/leaf"
	"github.com/twinreel/twinreel/reconciler/internal/audit/roster"
)

var made = epoch.Of(time.Unix(1_700_000_000, 1))

// say returns a random leaf.
func say(random *rand.Rand, n int) leaf.Leaf {
	kind := []string{"stored", "already_present", "accepted_unverified", "confirmed", "forgotten", "read", "dead"}[random.IntN(7)]
	tier := []string{"primary", "backup", "all"}[random.IntN(3)]
	id := random.IntN(40)
	object := fmt.Sprintf("recordings/rec-%d.wav", id)
	if kind == "forgotten" && random.IntN(2) == 0 {
		object = ""
	}
	return leaf.Leaf{
		Sequence: uint64(n) + 1, Subject: "audit." + kind + "." + tier, Stored: time.Unix(int64(n), 0).UTC(),
		Body: fmt.Appendf(nil, `{"data":{"idempotencyKey":"rec-%d","objectKey":%q,"size":%d}}`, id, object, random.IntN(2)),
	}
}

// brute is what the leaves say, the plain way.
func brute(leaves []leaf.Leaf) []roster.Line {
	all := map[[2]string]*roster.Line{}
	for _, l := range leaves {
		one, ok := roster.FromLeaf(l)
		if !ok {
			continue
		}
		key := [2]string{one.ObjectKey, one.IdempotencyKey}
		have := all[key]
		if have == nil {
			all[key] = &one
			continue
		}
		have.Differs = have.Differs || *have.Size != *one.Size
		if have.Primary == nil {
			have.Primary = one.Primary
		}
		if have.Backup == nil {
			have.Backup = one.Backup
		}
		if have.Forgotten == nil {
			have.Forgotten = one.Forgotten
		}
	}
	var out []roster.Line
	for _, k := range slices.SortedFunc(maps.Keys(all), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		out = append(out, *all[k])
	}
	return out
}

// However leaves are spread over segments, merged they say what all leaves say together.
func TestSegmentsTogetherSayWhatAllLeavesSay(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 1)) //nolint:gosec // a test
		s := memstore.New("b")
		var all []leaf.Leaf
		var sources []iter.Seq2[roster.Line, error]
		for i := range rapid.IntRange(1, 6).Draw(r, "segments") {
			var c roster.Collector
			for range random.IntN(60) {
				l := say(random, len(all))
				all = append(all, l)
				c.Add(l)
			}
			seg := roster.Segment{Bits: roster.First, N: int64(i)}
			if err := seg.Write(made, c.Lines(), func(key string, body []byte) error { s.Plant(key, memstore.Object{Body: body}); return nil }); err != nil {
				r.Fatal(err)
			}
			sources = append(sources, seg.Lines(t.Context(), s, made))
		}
		var got []roster.Line
		for l, err := range roster.Merge(sources) {
			if err != nil {
				r.Fatal(err)
			}
			got = append(got, l)
		}
		if want := brute(all); !reflect.DeepEqual(got, want) {
			r.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}

// long returns a segment of more than one object.
func long(t *testing.T) (*memstore.Store, roster.Segment, int) {
	t.Helper()
	s, seg, parts := memstore.New("b"), roster.Segment{Bits: roster.First}, 0
	err := seg.Write(made, func(yield func(roster.Line, error) bool) {
		for n := range 120_000 {
			if !yield(roster.Line{ObjectKey: fmt.Sprintf("recordings/%0100d.wav", n), IdempotencyKey: fmt.Sprintf("%0100d", n)}, nil) {
				return
			}
		}
	}, func(key string, body []byte) error { parts++; s.Plant(key, memstore.Object{Body: body}); return nil })
	if err != nil || parts < 3 {
		t.Fatalf("%d objects, %v", parts, err)
	}
	return s, seg, parts
}

func TestALongSegmentIsReadWholeOrNotAtAll(t *testing.T) {
	s, seg, parts := long(t)
	read := func() (n int, err error) {
		for _, err := range seg.Lines(t.Context(), s, made) {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}
	if n, err := read(); n != 120_000 || err != nil {
		t.Fatalf("%d lines, %v", n, err)
	}
	for part := range parts {
		key := fmt.Sprintf("%s%06d", seg.Prefix(made), part)
		o, _ := s.Object(key)
		s.Lose(key)
		if _, err := read(); err == nil {
			t.Errorf("%s is gone, and nobody says so", key)
		}
		cut := o
		cut.Body = o.Body[:len(o.Body)-5]
		s.Plant(key, cut)
		if _, err := read(); err == nil {
			t.Errorf("%s is cut, and nobody says so", key)
		}
		s.Plant(key, o)
	}
}
