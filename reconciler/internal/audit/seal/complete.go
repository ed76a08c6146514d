package seal

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/leaf"
	"github.com/twinreel/twinreel/reconciler/internal/audit/tree"
)

// older completes what the other store has more of older epochs: of streams that are no more.
func (t *track) older(ctx context.Context, current epoch.ID) error {
	other := t.sibling()
	if other == nil || !t.completed.IsZero() && t.Now().Sub(t.completed) < olderEvery {
		return nil
	}
	keys, err := t.Keys()
	if err != nil {
		return err
	}
	list, err := audit.Epochs(ctx, other.store.Reader)
	if err != nil {
		return nil //nolint:nilerr // the other store is away: that is its own track's trouble, and shall not be ours
	}
	for _, e := range list {
		if e == current {
			continue
		}
		out := newWriter(t, keys, e)
		b, err := t.from(ctx, keys, e, out)
		if err != nil {
			return err
		}
		if _, err := t.copyFrom(ctx, e, b, 0); err != nil {
			return fmt.Errorf("complete epoch %s from the other store: %w", e, err)
		}
	}
	t.completed = t.Now()
	return nil
}

// copyFrom adds the leaves that the other store has sealed beyond the builder's, up to the one of sequence to (0: all), each
// proven by the other store's last checkpoint. answered says that the other store has told how far it is.
func (t *track) copyFrom(ctx context.Context, e epoch.ID, b *tree.Builder, to int64) (answered bool, err error) {
	other := t.sibling()
	if other == nil {
		return true, nil
	}
	keys, err := t.Keys()
	if err != nil {
		return false, err
	}
	note, serial, err := audit.Last(ctx, other.store.Reader, e, 0)
	if err != nil {
		return false, err
	}
	if serial == 0 {
		return true, nil
	}
	c, err := (&audit.Log{Keys: keys}).Open(e, serial, note)
	if err != nil {
		return false, err
	}
	if to == 0 || to > c.Size {
		to = c.Size
	}
	hashes := tree.Proved(ctx, other.store.Reader, c.Head)
	for b.Size() < to {
		if err := copyTile(ctx, other, hashes, b, min(to, (b.Size()/tree.Width+1)*tree.Width), c.Size); err != nil {
			return false, err
		}
	}
	return true, nil
}

// copyTile adds the leaves up to, not including, the index to, which are all in one tile of a log of that size.
func copyTile(ctx context.Context, other *track, hashes tlog.HashReader, b *tree.Builder, to, size int64) error {
	lines, first, err := tree.Lines(ctx, other.store.Reader, b.Epoch(), b.Size(), size)
	if err != nil {
		return err
	}
	var places []int64
	for n := b.Size(); n < to; n++ {
		places = append(places, tlog.StoredHashIndex(0, n))
	}
	proven, err := hashes.ReadHashes(places)
	if err != nil {
		return fmt.Errorf("the other store's log is not what its checkpoint was made from; run reconciler audit verify: %w", err)
	}
	for _, want := range proven {
		n := b.Size()
		l, err := leaf.Parse(lines[n-first])
		if err != nil || tlog.RecordHash(lines[n-first]) != want {
			return fmt.Errorf("leaf %d of the other store's log is not what its checkpoint was made from; run reconciler audit verify", n)
		}
		if err := b.Add(ctx, tree.ItemOf(l)); err != nil {
			return err
		}
	}
	return nil
}
