package tree

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/fetch"
)

// together is how many data tiles are proven by one reading of the hashes, which bounds what is remembered of them.
const together = 256

// Prove reads the data tiles that hold the leaves of the indexes from to to-1, and holds each against the head's root. It
// returns how far they are proven, also with an error, which names the tile: to, or the start of a tile below.
func Prove(ctx context.Context, r objstore.Reader, h checkpoint.Head, from, to int64) (int64, error) {
	for from < to {
		first := from / Width
		tiles := min(together, (to-1)/Width-first+1)
		hashes := Proved(ctx, r, h)
		err := fetch.Each(ctx, int(tiles), func(ctx context.Context, i int) error {
			return proveTile(ctx, r, hashes, h, first+int64(i))
		})
		if err != nil {
			return from, err
		}
		from = min((first+tiles)*Width, to)
	}
	return from, nil
}

func proveTile(ctx context.Context, r objstore.Reader, hashes tlog.HashReader, h checkpoint.Head, n int64) error {
	key := h.Epoch.Key(DataTile(n*Width, h.Size).Path())
	lines, first, err := Lines(ctx, r, h.Epoch, n*Width, h.Size)
	if errors.Is(err, objstore.ErrNotExist) {
		return fmt.Errorf("%s: %w: it is gone; run reconciler audit verify", key, errTile)
	}
	if err != nil {
		return fmt.Errorf("prove %s: %w", key, err)
	}
	at := make([]int64, len(lines))
	for i := range at {
		at[i] = tlog.StoredHashIndex(0, first+int64(i))
	}
	want, err := hashes.ReadHashes(at)
	if err != nil {
		return fmt.Errorf("prove %s by the tree at %d: %w", key, h.Size, err)
	}
	for i, line := range lines {
		if tlog.RecordHash(line) != want[i] {
			return fmt.Errorf("%s: %w: leaf %d is another; run reconciler audit verify", key, errTile, first+int64(i))
		}
	}
	return nil
}
