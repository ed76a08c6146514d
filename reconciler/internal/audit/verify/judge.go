package verify

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/twinreel/twinreel/reconciler/internal/audit/tree"
)

// tile is what a store has of 256 leaves: they themselves, and their hashes.
type tile struct {
	n                int64
	width            int
	dataKey, hashKey string
	data, hash       []byte // nil: not there
}

// tile reads the tiles of the leaves from n*256 on.
func (w *walk) tile(ctx context.Context, n int64) (tile, error) {
	d := tree.DataTile(n*tree.Width, w.end.Size)
	t := tile{n: n, width: d.W, dataKey: w.epoch.Key(d.Path())}
	d.L = 0
	t.hashKey = w.epoch.Key(d.Path())
	var err error
	if t.data, err = w.get(ctx, t.dataKey); err != nil {
		return tile{}, err
	}
	t.hash, err = w.get(ctx, t.hashKey)
	return t, err
}

// judge returns the hashes of a tile's leaves, and their lines where those are what was sealed. Where the two tiles contradict
// each other it says which one was changed: the one that does not fit what is above.
func (w *walk) judge(ctx context.Context, t tile) (hashes []tlog.Hash, lines [][]byte, err error) {
	var computed, stored []tlog.Hash
	first := t.n * tree.Width
	var broken error
	if t.data != nil {
		if lines, broken = tree.Records(t.data, first, t.width); broken == nil {
			for _, line := range lines {
				computed = append(computed, tlog.RecordHash(line))
			}
		}
	}
	if t.hash != nil {
		stored, _ = tree.Hashes(t.hash, t.width) // told when it is compared
	}
	at := differ(computed, stored)
	if at < 0 && computed != nil {
		return computed, lines, nil
	}
	fits, err := w.referee(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case t.data == nil:
		w.finding(Missing, t.dataKey, first, "the leaves %d to %d are not there", first, first+int64(t.width)-1)
		return stored, nil, nil
	case broken != nil:
		w.finding(Changed, t.dataKey, first, "%v", broken)
		return stored, nil, nil
	case stored == nil || fits(computed) || !fits(stored):
		// The hashes are told when they are compared. Where neither fits, the leaves go on: what is above will not.
		return computed, lines, nil
	}
	w.finding(Changed, t.dataKey, first+int64(at), "leaf %d has the hash %s, sealed was %s", first+int64(at), computed[at], stored[at])
	return stored, nil, nil
}

// differ returns the first place where two lists differ, -1 for none or where one is not known.
func differ(a, b []tlog.Hash) int {
	if a == nil || b == nil {
		return -1
	}
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// referee returns what says whether hashes of a tile are those that were sealed: the tile above it, or, at the tree's edge, the
// signed root.
func (w *walk) referee(ctx context.Context, t tile) (func([]tlog.Hash) bool, error) {
	if t.width < tree.Width {
		return func(list []tlog.Hash) bool { return list != nil && w.builder.RootWith(list) == w.end.Root }, nil
	}
	above := tlog.Tile{H: tree.Height, L: 1, N: t.n / tree.Width, W: int(min(tree.Width, w.end.Size>>tree.Height-t.n/tree.Width*tree.Width))}
	b, err := w.get(ctx, w.epoch.Key(above.Path()))
	if err != nil {
		return nil, err
	}
	list, herr := tree.Hashes(b, above.W)
	return func(hashes []tlog.Hash) bool {
		return herr == nil && hashes != nil && tree.Subtree(hashes) == list[t.n%tree.Width]
	}, nil
}
