package tree

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/fetch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/index"
	"github.com/twinreel/twinreel/reconciler/internal/audit/leaf"
)

// Resume returns a Builder that goes on behind a checkpoint of the reader's store. It reads the tree's right edge, and holds
// it against the checkpoint: nothing is built on what was changed.
func Resume(ctx context.Context, c checkpoint.Checkpoint, sink Sink, reader objstore.Reader) (*Builder, error) {
	b := New(c.Epoch, sink, reader)
	b.size, b.serial, b.previous = c.Size, c.Serial, c.Head
	for level := 0; c.Size>>(Height*level) > 0; level++ {
		have := c.Size >> (Height * level)
		edge := make([]tlog.Hash, 0, Width)
		if w := int(have % Width); w > 0 {
			tile := tlog.Tile{H: Height, L: level, N: have >> Height, W: w}
			body, err := fetch.All(ctx, reader, c.Epoch.Key(tile.Path()))
			if err != nil {
				return nil, fmt.Errorf("read the right edge at %d: %w", c.Size, err)
			}
			list, err := Hashes(body, w)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Epoch.Key(tile.Path()), err)
			}
			edge = append(edge, list...)
		}
		b.edge, b.put = append(b.edge, edge), append(b.put, have)
	}
	if b.Root() != c.Root {
		return nil, fmt.Errorf("%w: the right edge of %s at %d is not what its checkpoint was made from; run reconciler audit verify", errTile, c.Epoch, c.Size)
	}
	if c.Size%Width == 0 {
		return b, nil
	}
	return b, b.reload(ctx)
}

// reload reads the incomplete data tile.
func (b *Builder) reload(ctx context.Context) error {
	w := int(b.size % Width)
	key := b.epoch.Key(tlog.Tile{H: Height, L: -1, N: b.size / Width, W: w}.Path())
	body, err := fetch.All(ctx, b.reader, key)
	if err != nil {
		return fmt.Errorf("read the right edge at %d: %w", b.size, err)
	}
	lines, err := Records(body, b.size-int64(w), w)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	for i, line := range lines {
		h := tlog.RecordHash(line)
		if h != b.edge[0][i] {
			return fmt.Errorf("%s: %w: leaf %d is another; run reconciler audit verify", key, errTile, b.size-int64(w-i))
		}
		l, err := leaf.Parse(line)
		if err != nil {
			return fmt.Errorf("%s: leaf %d: %w", key, b.size-int64(w-i), err)
		}
		b.entries = append(b.entries, index.EntryOf(b.size-int64(w-i), l.Data().IdempotencyKey, h))
	}
	b.records = body
	return nil
}

// Records reads a data tile: the lines of w leaves from the one of index first. It takes only what tlog.FormatRecord writes.
func Records(body []byte, first int64, w int) ([][]byte, error) {
	out := make([][]byte, 0, w)
	rest := body
	for i := range w {
		begun := len(body) - len(rest)
		id, line, next, err := tlog.ParseRecord(rest)
		if err != nil {
			return nil, fmt.Errorf("%w: leaf %d cannot be read", errTile, first+int64(i))
		}
		if id != first+int64(i) || string(rest[:len(strconv.FormatInt(id, 10))+1]) != strconv.FormatInt(id, 10)+"\n" {
			return nil, fmt.Errorf("%w: leaf %d is numbered %d (byte %d)", errTile, first+int64(i), id, begun)
		}
		out, rest = append(out, line), next
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%w: bytes behind its %d leaves", errTile, w)
	}
	return out, nil
}

// DataTile returns the tile that holds the leaf in a log of that size.
func DataTile(n, size int64) tlog.Tile {
	first := n / Width * Width
	return tlog.Tile{H: Height, L: -1, N: n / Width, W: int(min(Width, size-first))}
}

// Lines returns the lines of the data tile that holds leaf n in a log of that size, and the first of them's index.
func Lines(ctx context.Context, r objstore.Reader, e epoch.ID, n, size int64) (lines [][]byte, first int64, err error) {
	tile := DataTile(n, size)
	key := e.Key(tile.Path())
	body, err := fetch.All(ctx, r, key)
	if err != nil {
		return nil, 0, err
	}
	first = tile.N * Width
	if lines, err = Records(body, first, tile.W); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", key, err)
	}
	return lines, first, nil
}

// Leaves calls visit for the leaves of the indexes from to to-1 of a log of that size, in order. It reads several tiles at a
// time.
func Leaves(ctx context.Context, r objstore.Reader, e epoch.ID, from, to, size int64, visit func(leaf.Leaf)) error {
	for at := from; at < to; {
		tiles := min(fetch.Side, (to-1)/Width-at/Width+1)
		got := make([][][]byte, tiles)
		err := fetch.Each(ctx, int(tiles), func(ctx context.Context, i int) (err error) {
			got[i], _, err = Lines(ctx, r, e, (at/Width+int64(i))*Width, size)
			return err
		})
		if err != nil {
			return err
		}
		for i, lines := range got {
			first := (at/Width + int64(i)) * Width
			for j, line := range lines {
				if n := first + int64(j); n < from || n >= to {
					continue
				}
				l, err := leaf.Parse(line)
				if err != nil {
					return fmt.Errorf("leaf %d of %s: %w", first+int64(j), e, err)
				}
				visit(l)
			}
		}
		at = (at/Width + tiles) * Width
	}
	return nil
}

// Tiles reads hash tiles for tlog.TileHashReader, which holds them against the tree's root. It remembers what it has read.
// It is safe for concurrent use.
type Tiles struct {
	ctx    context.Context
	reader objstore.Reader
	epoch  epoch.ID
	mu     sync.Mutex
	known  map[tlog.Tile][]byte
}

var _ tlog.TileReader = (*Tiles)(nil)

// Proved returns a reader of the hashes of the log at a head: what it returns is proven by the head's root. ctx covers all
// that is read by it.
func Proved(ctx context.Context, r objstore.Reader, h checkpoint.Head) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: h.Size, Hash: h.Root}, &Tiles{ctx: ctx, reader: r, epoch: h.Epoch, known: map[tlog.Tile][]byte{}})
}

// Height implements tlog.TileReader.
func (t *Tiles) Height() int { return Height }

// ReadTiles implements tlog.TileReader.
func (t *Tiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	err := fetch.Each(t.ctx, len(tiles), func(ctx context.Context, i int) error {
		t.mu.Lock()
		b, ok := t.known[tiles[i]]
		t.mu.Unlock()
		if !ok {
			var err error
			if b, err = fetch.All(ctx, t.reader, t.epoch.Key(tiles[i].Path())); err != nil {
				return err
			}
		}
		out[i] = b
		return nil
	})
	return out, err
}

// SaveTiles implements tlog.TileReader.
func (t *Tiles) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, tile := range tiles {
		t.known[tile] = data[i]
	}
}
