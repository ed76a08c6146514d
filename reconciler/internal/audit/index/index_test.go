package index_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/index"
)

var made = epoch.Of(time.Unix(1_700_000_000, 1))

// build makes the index of leaves whose recordings key names, "" for none.
func build(ctx context.Context, t interface{ Fatal(...any) }, size int64, key func(int64) string) *memstore.Store {
	s := memstore.New("b")
	put := func(name string, body []byte) error { s.Plant(name, memstore.Object{Body: body}); return nil }
	var entries []index.Entry
	for n := range size {
		entries = append(entries, index.EntryOf(n, key(n), tlog.RecordHash(fmt.Append(nil, n))))
		for i, seg := range index.Full(n + 1) {
			if i == 0 {
				_ = put(seg.Key(made, 0), index.Encode(entries))
				entries = nil
				continue
			}
			if err := seg.Merge(ctx, s, made, put); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

// lookup returns the leaves of a recording below the tail.
func lookup(ctx context.Context, t interface{ Fatal(...any) }, s *memstore.Store, size int64, key string) []int64 {
	var out []int64
	segments, _ := index.Cover(size)
	for _, seg := range segments {
		list, err := seg.Lookup(ctx, s, made, index.HashOf(key))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, list...)
	}
	return out
}

// Whatever is sealed, the index finds what a search of all leaves finds.
func TestTheIndexFindsWhatASearchOfAllLeavesFinds(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		size := rapid.Int64Range(1, 9000).Draw(r, "size")
		recordings := rapid.Int64Range(1, 9000).Draw(r, "recordings")
		seed := rapid.Uint64().Draw(r, "seed")
		random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
		keys := make([]string, size)
		for n := range keys {
			if random.IntN(10) > 0 {
				keys[n] = fmt.Sprintf("rec-%d", random.Int64N(recordings))
			}
		}
		s := build(t.Context(), r, size, func(n int64) string { return keys[n] })
		_, tail := index.Cover(size)
		for range 50 {
			key := fmt.Sprintf("rec-%d", random.Int64N(recordings))
			var want []int64
			for n := range tail {
				if keys[n] == key {
					want = append(want, n)
				}
			}
			if got := lookup(t.Context(), r, s, size, key); !slices.Equal(got, want) {
				r.Fatalf("%s: got %v, want %v", key, got, want)
			}
		}
	})
}

func TestASegmentThatWasChangedIsNotMerged(t *testing.T) {
	s := build(t.Context(), t, 1<<12, func(n int64) string { return fmt.Sprint(n) })
	seg := index.Segment{Bits: 8, N: 3}
	o, _ := s.Object(seg.Key(made, 0))
	for _, at := range []int{0, 8, len(o.Body) - 40, len(o.Body) - 1} {
		o.Body[at] ^= 1
		s.Plant(seg.Key(made, 0), o)
		err := index.Segment{Bits: 12}.Merge(t.Context(), s, made, func(string, []byte) error { return nil })
		if err == nil {
			t.Errorf("byte %d changed, and merged", at)
		}
		o.Body[at] ^= 1
	}
}

func TestALogIsCoveredByTheFewestSegments(t *testing.T) {
	for size, want := range map[int64]struct{ segments, tail int64 }{
		0: {0, 0}, 255: {0, 0}, 256: {1, 256}, 4095: {15, 3840}, 4096: {1, 4096}, 1<<24 + 1<<20 + 1<<16 + 1<<12 + 1<<8 + 1: {5, 1<<24 + 1<<20 + 1<<16 + 1<<12 + 1<<8},
	} {
		list, tail := index.Cover(size)
		at := int64(0)
		for _, s := range list {
			if s.From() != at {
				t.Errorf("%d: a segment from %d, want %d", size, s.From(), at)
			}
			at = s.To()
		}
		if int64(len(list)) != want.segments || tail != want.tail || at != tail {
			t.Errorf("%d: %d segments up to %d, want %+v", size, len(list), tail, want)
		}
	}
}
