// Package audit reads the sealed log: the Merkle log of the AUDIT stream below audit/ in each store, its index by recording
// and its roster. Package seal writes it, package verify proves it, and this package answers from it what streams and Redis
// have long forgotten.
//
// audit/<epoch>/ holds, all of it create-only and all of it made from the leaves alone (package tree):
//
//	checkpoint/<serial>      signed notes on how far the log is sealed
//	tile/8/data/…            the leaves, 256 in a tile
//	tile/8/<level>/…         the tree's hashes
//	index/<bits>/…           which leaves are of which recording
//	roster/<bits>/…          what was said to be stored, by object
//
// and audit/epochs/<epoch> says that the epoch is there.
package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/fetch"
)

// Log reads the sealed log from one store, or from whichever of two answers and is further. Without Keys it believes whatever
// checkpoints there are. It is safe for concurrent use.
type Log struct {
	Stores map[tier.Tier]objstore.Reader
	Keys   checkpoint.Keys // whose checkpoints are believed; none: anybody's
	Aside  func(error)     // told of a store that is left out, as long as another answers; nil: nobody is
}

// Copy is one epoch in one store, up to its last checkpoint there.
type Copy struct {
	Tier   tier.Tier
	Reader objstore.Reader
	checkpoint.Checkpoint
	Note []byte // the checkpoint, as signed
}

// Epochs returns the epochs that a store has a marker of, oldest first.
func Epochs(ctx context.Context, r objstore.Reader) ([]epoch.ID, error) {
	var out []epoch.ID
	for info, err := range r.List(ctx, epoch.Markers()) {
		if err != nil {
			return nil, err
		}
		e, err := epoch.OfMarker(info.Key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", info.Key, err)
		}
		if !slices.Contains(out, e) { // several versions of one key: verify tells of them
			out = append(out, e)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Last returns the last checkpoint of an epoch in a store, as signed, and its serial number: 0 if there is none. It looks
// with growing steps from the serial number known, and so finds it by a few requests.
func Last(ctx context.Context, r objstore.Reader, e epoch.ID, known int64) ([]byte, int64, error) {
	there := func(serial int64) (bool, error) {
		_, err := r.Stat(ctx, checkpoint.Key(e, serial))
		if errors.Is(err, objstore.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
	low, high := known, int64(0) // low is there (or 0), high is not
	for jump := int64(1); high == 0; jump *= 2 {
		ok, err := there(low + jump)
		switch {
		case err != nil:
			return nil, 0, err
		case ok:
			low += jump
		default:
			high = low + jump
		}
	}
	for low+1 < high {
		middle := low + (high-low)/2
		ok, err := there(middle)
		switch {
		case err != nil:
			return nil, 0, err
		case ok:
			low = middle
		default:
			high = middle
		}
	}
	if low == 0 {
		return nil, 0, nil
	}
	b, err := fetch.All(ctx, r, checkpoint.Key(e, low))
	return b, low, err
}

// Open reads a checkpoint that is kept as that epoch's of that serial number.
func (l *Log) Open(e epoch.ID, serial int64, note []byte) (checkpoint.Checkpoint, error) {
	open := checkpoint.Unsigned
	if l.Keys.Any() {
		open = l.Keys.Open
	}
	c, err := open(note)
	if err == nil && (c.Epoch != e || c.Serial != serial) {
		err = fmt.Errorf("it is checkpoint %d of %s", c.Serial, c.Epoch)
	}
	if err != nil {
		return checkpoint.Checkpoint{}, fmt.Errorf("%s: %w", checkpoint.Key(e, serial), err)
	}
	return c, nil
}

// Copies returns for each epoch that has a checkpoint, oldest first, the stores that hold it, the furthest first. A store that
// does not answer is left out as long as another does, and so is an epoch whose last checkpoint is not believed, as long as any
// is: whoever can write into one store must not be able to end the reading of both.
func (l *Log) Copies(ctx context.Context) ([][]Copy, error) {
	all, doubted := map[epoch.ID][]Copy{}, map[epoch.ID]error{}
	var missing []error
	answered := 0
	for _, t := range tier.All() {
		r := l.Stores[t]
		if r == nil {
			continue
		}
		if err := l.copies(ctx, t, r, all, doubted); err != nil {
			missing = append(missing, fmt.Errorf("the log in %s: %w", t, err))
			continue
		}
		answered++
	}
	if answered == 0 {
		return nil, errors.Join(append(missing, errors.New("no store's log can be read"))...)
	}
	for _, e := range slices.Sorted(maps.Keys(doubted)) {
		missing = append(missing, doubted[e])
	}
	if len(all) == 0 && len(doubted) > 0 {
		return nil, errors.Join(missing...)
	}
	for _, err := range missing {
		if l.Aside != nil {
			l.Aside(err)
		}
	}
	var out [][]Copy
	for _, e := range slices.Sorted(maps.Keys(all)) {
		list := all[e]
		slices.SortStableFunc(list, func(a, b Copy) int { return cmp.Compare(b.Size, a.Size) })
		out = append(out, list)
	}
	return out, nil
}

// copies adds what one store has.
func (l *Log) copies(ctx context.Context, t tier.Tier, r objstore.Reader, all map[epoch.ID][]Copy, doubted map[epoch.ID]error) error {
	list, err := Epochs(ctx, r)
	if err != nil {
		return err
	}
	found := make([]*Copy, len(list))
	doubts := make([]error, len(list))
	err = fetch.Each(ctx, len(list), func(ctx context.Context, i int) error {
		note, serial, err := Last(ctx, r, list[i], 0)
		if err != nil || serial == 0 { // begun, and not yet sealed
			return err
		}
		c, err := l.Open(list[i], serial, note)
		if err != nil {
			doubts[i] = fmt.Errorf("the log in %s: %w", t, err)
			return nil
		}
		found[i] = &Copy{Tier: t, Reader: r, Checkpoint: c, Note: note}
		return nil
	})
	if err != nil {
		return err
	}
	for i, e := range list {
		if doubts[i] != nil {
			doubted[e] = errors.Join(doubted[e], doubts[i])
		}
		if found[i] != nil {
			all[e] = append(all[e], *found[i])
		}
	}
	return nil
}

// First returns the first checkpoint of a copy's epoch: its Previous names the epoch before.
func (l *Log) First(ctx context.Context, c Copy) (checkpoint.Checkpoint, error) {
	note, err := fetch.All(ctx, c.Reader, checkpoint.Key(c.Epoch, 1))
	if err != nil {
		return checkpoint.Checkpoint{}, err
	}
	return l.Open(c.Epoch, 1, note)
}
