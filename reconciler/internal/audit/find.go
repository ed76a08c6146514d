package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/fetch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/index"
	"github.com/twinreel/twinreel/reconciler/internal/audit/leaf"
	"github.com/twinreel/twinreel/reconciler/internal/audit/tree"
)

// Leaf is a leaf of the log, and where it stands.
type Leaf struct {
	leaf.Leaf
	Epoch epoch.ID
	Index int64
	Line  []byte // the leaf's bytes
}

// Found is what one epoch has of a recording.
type Found struct {
	Copy
	Leaves []Leaf
}

// Find returns all sealed leaves of the recording with that idempotency key, oldest first, over all epochs. A message that is
// in the log several times, by its message ID, is returned once.
func (l *Log) Find(ctx context.Context, key string) ([]Leaf, error) {
	found, err := l.FindIn(ctx, key)
	if err != nil {
		return nil, err
	}
	var out []Leaf
	for _, f := range found {
		out = append(out, f.Leaves...)
	}
	return out, nil
}

// FindIn is Find, epoch by epoch, with the copy of the log that it was found in. Epochs without a leaf are left out.
func (l *Log) FindIn(ctx context.Context, key string) ([]Found, error) {
	epochs, err := l.Copies(ctx)
	if err != nil {
		return nil, err
	}
	var out []Found
	seen := map[string]bool{}
	for _, copies := range epochs {
		f, err := findInAny(ctx, copies, key)
		if err != nil {
			return nil, err
		}
		f.Leaves = slices.DeleteFunc(f.Leaves, func(one Leaf) bool {
			again := one.MsgID != "" && seen[one.MsgID]
			seen[one.MsgID] = true
			return again
		})
		if len(f.Leaves) > 0 {
			out = append(out, f)
		}
	}
	return out, nil
}

// Proven returns the leaves of a recording that any copy of the log proves, each once, oldest first; and what stood in the way of
// more: stores that do not answer, copies that cannot be read or are not believed, leaves that are not what their checkpoints
// were made from.
func (l *Log) Proven(ctx context.Context, key string) (proven []Leaf, doubts []error) {
	strict := *l
	strict.Aside = func(err error) { doubts = append(doubts, err) }
	epochs, err := strict.Copies(ctx)
	if err != nil {
		return nil, []error{err}
	}
	for _, copies := range epochs {
		have := map[int64]bool{}
		for _, c := range copies {
			leaves, err := c.find(ctx, key)
			if err != nil {
				doubts = append(doubts, fmt.Errorf("%s, epoch %s: %w", c.Tier, c.Epoch, err))
			}
			for _, one := range leaves {
				if have[one.Index] {
					continue
				}
				if _, err := c.Prove(ctx, []Leaf{one}); err != nil {
					doubts = append(doubts, fmt.Errorf("%s: %w", c.Tier, err))
					continue
				}
				have[one.Index] = true
				proven = append(proven, one)
			}
		}
	}
	return proven, doubts
}

// findInAny looks in one copy after the other until one can be read.
func findInAny(ctx context.Context, copies []Copy, key string) (Found, error) {
	var all error
	for _, c := range copies {
		leaves, err := c.find(ctx, key)
		if err == nil {
			return Found{c, leaves}, nil
		}
		all = errors.Join(all, fmt.Errorf("%s, epoch %s: %w", c.Tier, c.Epoch, err))
	}
	return Found{}, all
}

// find returns the leaves of the recording in one copy, in order.
func (c Copy) find(ctx context.Context, key string) ([]Leaf, error) {
	segments, tail := index.Cover(c.Size)
	candidates := make([][]int64, len(segments)+1)
	err := fetch.Each(ctx, len(segments), func(ctx context.Context, i int) (err error) {
		candidates[i], err = segments[i].Lookup(ctx, c.Reader, c.Epoch, index.HashOf(key))
		return err
	})
	if err != nil {
		return nil, err
	}
	for n := tail; n < c.Size; n++ {
		candidates[len(segments)] = append(candidates[len(segments)], n)
	}
	tiles := map[int64][]int64{} // by the number of the data tile
	for _, n := range slices.Concat(candidates...) {
		tiles[n/tree.Width] = append(tiles[n/tree.Width], n)
	}
	return c.leaves(ctx, key, tiles)
}

// leaves reads those of the leaves that are the recording's.
func (c Copy) leaves(ctx context.Context, key string, tiles map[int64][]int64) ([]Leaf, error) {
	var numbers []int64
	for n := range tiles {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	got := make([][]Leaf, len(numbers))
	err := fetch.Each(ctx, len(numbers), func(ctx context.Context, i int) error {
		lines, first, err := tree.Lines(ctx, c.Reader, c.Epoch, numbers[i]*tree.Width, c.Size)
		if err != nil {
			return err
		}
		for _, n := range tiles[numbers[i]] {
			one, err := leaf.Parse(lines[n-first])
			if err != nil {
				return fmt.Errorf("leaf %d: %w", n, err)
			}
			if one.Data().IdempotencyKey == key {
				got[i] = append(got[i], Leaf{Leaf: one, Epoch: c.Epoch, Index: n, Line: lines[n-first]})
			}
		}
		return nil
	})
	return slices.Concat(got...), err
}

// Prove returns the inclusion proof of each leaf in the copy's checkpoint, checked.
func (c Copy) Prove(ctx context.Context, leaves []Leaf) ([]tlog.RecordProof, error) {
	hashes := tree.Proved(ctx, c.Reader, c.Head)
	out := make([]tlog.RecordProof, len(leaves))
	for i, one := range leaves {
		p, err := tlog.ProveRecord(c.Size, one.Index, hashes)
		if err != nil {
			return nil, fmt.Errorf("prove leaf %d of %s: %w", one.Index, c.Epoch, err)
		}
		if err := tlog.CheckRecord(p, c.Size, c.Root, one.Index, tlog.RecordHash(one.Line)); err != nil {
			return nil, fmt.Errorf("leaf %d of %s is not what its checkpoint was made from; run reconciler audit verify: %w", one.Index, c.Epoch, err)
		}
		out[i] = p
	}
	return out, nil
}
