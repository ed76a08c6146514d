// Package tree makes the objects of a sealed log out of its leaves: tiles, checkpoints, index and roster. All of them follow
// from the leaves alone, so that whoever seals writes the same bytes, and whoever verifies makes them once more and compares.
//
// Tiles are those of golang.org/x/mod/sumdb/tlog, of height 8: data tiles hold 256 leaves as tlog.FormatRecord writes them,
// hash tiles 256 hashes each, the tree is RFC 6962's. Every mark among the leaves makes a checkpoint, and before it the
// incomplete tiles at the tree's right edge.
package tree

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/index"
	"github.com/twinreel/twinreel/reconciler/internal/audit/leaf"
	"github.com/twinreel/twinreel/reconciler/internal/audit/roster"
)

// Sizes of tiles.
const (
	Height = 8
	Width  = 1 << Height // leaves, or hashes, of a complete tile
)

// Sink takes what a Builder makes.
type Sink interface {
	// Put takes an object. A nil body says that it belongs to the log, but hangs on a leaf that is not known. body is not
	// changed afterwards.
	Put(ctx context.Context, key string, body []byte) error
	// Flush returns nil once all that was put can be read back.
	Flush(ctx context.Context) error
	// Checkpoint takes the next checkpoint, whose Name is not set. All objects that it stands for were put before.
	Checkpoint(ctx context.Context, c checkpoint.Checkpoint) error
}

// Item is one leaf.
type Item struct {
	Leaf leaf.Leaf
	Line []byte    // the leaf's bytes; nil where only the hash is known
	Hash tlog.Hash // tlog.RecordHash of Line, or what is known to be it
	// Sealed says, of a leaf that is not known, that it is a mark.
	Sealed bool
}

// ItemOf returns the item of a leaf.
func ItemOf(l leaf.Leaf) Item {
	line := l.Line()
	return Item{Leaf: l, Line: line, Hash: tlog.RecordHash(line)}
}

// Builder makes the objects of one epoch from its leaves, one after the other. It holds the tree's right edge and no more.
// After an error of the sink it is of no further use: resume anew. It is not for concurrent use.
type Builder struct {
	epoch  epoch.ID
	sink   Sink
	reader objstore.Reader // what was put is read back from here

	size     int64
	serial   int64 // of the last checkpoint, 0 before the first
	previous checkpoint.Head
	edge     [][]tlog.Hash // of each level of tiles: the hashes of the incomplete one
	put      []int64       // of each level: how many hashes all its tiles had at the last checkpoint
	records  []byte        // the incomplete data tile
	entries  []index.Entry // of its leaves
	unknown  []int64       // leaves of which only the hash is known
	lost     int           // how many of the incomplete data tile's
}

// New returns a Builder of an epoch without leaves.
func New(e epoch.ID, sink Sink, reader objstore.Reader) *Builder {
	return &Builder{epoch: e, sink: sink, reader: reader, previous: checkpoint.None()}
}

// Size returns how many leaves were added.
func (b *Builder) Size() int64 { return b.size }

// Serial returns the serial number of the last checkpoint, 0 before the first.
func (b *Builder) Serial() int64 { return b.serial }

// Head returns the last checkpoint, or what stands for none.
func (b *Builder) Head() checkpoint.Head { return b.previous }

// Epoch returns whose leaves these are.
func (b *Builder) Epoch() epoch.ID { return b.epoch }

// Add adds the next leaf. With a mark all that is complete up to it is put, and then its checkpoint.
func (b *Builder) Add(ctx context.Context, it Item) error {
	n := b.size
	b.take(n, it)
	b.size++
	if err := b.grow(ctx, 0, it.Hash); err != nil {
		return err
	}
	if b.size%Width == 0 {
		if err := b.complete(ctx); err != nil {
			return err
		}
	}
	if it.Sealed || it.Line != nil && it.Leaf.IsMark() {
		return b.seal(ctx, it)
	}
	return nil
}

// take notes what the leaf gives to data tile and index.
func (b *Builder) take(n int64, it Item) {
	if it.Line == nil {
		b.unknown, b.lost = append(b.unknown, n), b.lost+1
		return
	}
	record, err := tlog.FormatRecord(n, it.Line)
	if err != nil { // leaf.Line never writes such a line
		b.unknown, b.lost = append(b.unknown, n), b.lost+1
		return
	}
	b.records = append(b.records, record...)
	b.entries = append(b.entries, index.EntryOf(n, it.Leaf.Data().IdempotencyKey, it.Hash))
}

// grow appends a hash to a level of tiles, and puts the tile that it completes.
func (b *Builder) grow(ctx context.Context, level int, h tlog.Hash) error {
	if level == len(b.edge) {
		b.edge, b.put = append(b.edge, make([]tlog.Hash, 0, Width)), append(b.put, 0)
	}
	b.edge[level] = append(b.edge[level], h)
	if len(b.edge[level]) < Width {
		return nil
	}
	tile := tlog.Tile{H: Height, L: level, N: (b.size - 1) >> (Height * (level + 1)), W: Width}
	if err := b.sink.Put(ctx, b.epoch.Key(tile.Path()), hashes(b.edge[level])); err != nil {
		return err
	}
	top := Subtree(b.edge[level])
	b.edge[level] = b.edge[level][:0]
	return b.grow(ctx, level+1, top)
}

// complete puts the data tile that is full, and the segments of index and roster that are.
func (b *Builder) complete(ctx context.Context) error {
	if err := b.data(ctx, Width); err != nil {
		return err
	}
	entries := b.entries
	b.records, b.entries, b.lost = nil, nil, 0
	for i, s := range index.Full(b.size) {
		if b.hides(s.From(), s.To()) {
			for _, key := range s.Keys(b.epoch) {
				if err := b.sink.Put(ctx, key, nil); err != nil {
					return err
				}
			}
			continue
		}
		if i == 0 {
			if err := b.sink.Put(ctx, s.Key(b.epoch, 0), index.Encode(entries)); err != nil {
				return err
			}
			continue
		}
		if err := b.sink.Flush(ctx); err != nil {
			return err
		}
		if err := s.Merge(ctx, b.reader, b.epoch, b.putter(ctx)); err != nil {
			return fmt.Errorf("merge the index of leaves %d to %d: %w", s.From(), s.To()-1, err)
		}
	}
	return b.rosters(ctx)
}

// rosters puts the segments of the roster that are full.
func (b *Builder) rosters(ctx context.Context) error {
	for i, s := range roster.Full(b.size) {
		if b.hides(s.From(), s.To()) {
			if err := b.sink.Put(ctx, s.Prefix(b.epoch), nil); err != nil {
				return err
			}
			continue
		}
		if err := b.sink.Flush(ctx); err != nil {
			return err
		}
		if i > 0 {
			if err := s.Merge(ctx, b.reader, b.epoch, b.putter(ctx)); err != nil {
				return fmt.Errorf("merge the roster of leaves %d to %d: %w", s.From(), s.To()-1, err)
			}
			continue
		}
		var c roster.Collector
		if err := Leaves(ctx, b.reader, b.epoch, s.From(), s.To(), b.size, func(l leaf.Leaf) { c.Add(l) }); err != nil {
			return fmt.Errorf("make the roster of leaves %d to %d: %w", s.From(), s.To()-1, err)
		}
		if err := s.Write(b.epoch, c.Lines(), b.putter(ctx)); err != nil {
			return err
		}
	}
	return nil
}

func (b *Builder) putter(ctx context.Context) func(key string, body []byte) error {
	return func(key string, body []byte) error { return b.sink.Put(ctx, key, body) }
}

// hides reports whether a leaf in the range is not known.
func (b *Builder) hides(from, to int64) bool {
	for _, n := range b.unknown {
		if n >= from && n < to {
			return true
		}
	}
	return false
}

// data puts the data tile as it is.
func (b *Builder) data(ctx context.Context, width int) error {
	tile := tlog.Tile{H: Height, L: -1, N: (b.size - 1) / Width, W: width}
	body := append([]byte{}, b.records...)
	if b.lost > 0 {
		body = nil
	}
	return b.sink.Put(ctx, b.epoch.Key(tile.Path()), body)
}

// seal puts the incomplete tiles that have grown, and the checkpoint.
func (b *Builder) seal(ctx context.Context, it Item) error {
	if w := int(b.size % Width); w > 0 {
		if err := b.data(ctx, w); err != nil {
			return err
		}
	}
	for level := range b.edge {
		have := b.size >> (Height * level)
		if w := len(b.edge[level]); w > 0 && b.put[level] != have {
			tile := tlog.Tile{H: Height, L: level, N: have >> Height, W: w}
			if err := b.sink.Put(ctx, b.epoch.Key(tile.Path()), hashes(b.edge[level])); err != nil {
				return err
			}
		}
		b.put[level] = have
	}
	c := checkpoint.Checkpoint{
		Head: checkpoint.Head{Epoch: b.epoch, Size: b.size, Root: b.Root()}, Serial: b.serial + 1, Previous: b.previous,
	}
	if b.serial == 0 && it.Line != nil {
		c.Previous = Follows(it.Leaf)
	}
	if err := b.sink.Flush(ctx); err != nil {
		return err
	}
	if err := b.sink.Checkpoint(ctx, c); err != nil {
		return err
	}
	b.serial, b.previous = c.Serial, c.Head
	return nil
}

// Root returns the root over all leaves so far.
func (b *Builder) Root() tlog.Hash {
	var list []tlog.Hash
	for level := len(b.edge) - 1; level >= 0; level-- {
		list = append(list, perfect(b.edge[level])...)
	}
	return fold(list)
}

// after begins the reason of an epoch's first mark, where there was an epoch before.
const after = "after "

// After returns the reason of the first mark of an epoch that follows on another.
func After(h checkpoint.Head) string {
	if h.Epoch == "" {
		return ""
	}
	return after + h.String()
}

// Follows returns the head of the epoch before, as an epoch's first mark names it.
func Follows(mark leaf.Leaf) checkpoint.Head {
	text, found := strings.CutPrefix(mark.Data().Reason, after)
	if !found {
		return checkpoint.None()
	}
	h, err := checkpoint.ParseHead(text)
	if err != nil {
		return checkpoint.None()
	}
	return h
}

// errTile is a tile that is not as it should be.
var errTile = errors.New("the tile is not as it was written")

// RootWith returns the root if these leaves' hashes came next. The leaves so far fill their tile.
func (b *Builder) RootWith(next []tlog.Hash) tlog.Hash {
	var list []tlog.Hash
	for level := len(b.edge) - 1; level > 0; level-- {
		list = append(list, perfect(b.edge[level])...)
	}
	return fold(append(list, perfect(next)...))
}
