package roster

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/leaf"
	"github.com/twinreel/twinreel/reconciler/internal/audit/sizes"
)

// Sizes of a roster.
const (
	First    = 16 // the smallest segments have 2^First leaves
	step     = 4  // each next size is 2^step times as large
	largest  = 24
	partSize = 8 << 20 // bytes; an object ends with the line with which it is so long
)

// Segment is the roster of the leaves from N<<Bits up to, not including, (N+1)<<Bits.
type Segment struct {
	Bits int
	N    int64
}

// From is the first leaf of the segment.
func (s Segment) From() int64 { return s.N << s.Bits }

// To is the first leaf behind it.
func (s Segment) To() int64 { return (s.N + 1) << s.Bits }

// Prefix begins the keys of all its objects.
func (s Segment) Prefix(e epoch.ID) string {
	return e.Key(fmt.Sprintf("roster/%d/%s.d/", s.Bits, epoch.Number(s.N)))
}

func (s Segment) key(e epoch.ID, part int) string { return fmt.Sprintf("%s%06d", s.Prefix(e), part) }

// kept are the sizes of segments that are kept.
func kept() sizes.Sizes { return sizes.Sizes{First: First, Step: step, Largest: largest} }

// Full returns the segments that become full with the leaf of index size-1, smallest first.
func Full(size int64) []Segment { return sizes.Full[Segment](kept(), size) }

// Cover returns the fewest segments that hold the lines of a log of that size, oldest first, and the first leaf that is in
// none: fewer than 2^First are.
func Cover(size int64) (list []Segment, tail int64) { return sizes.Cover[Segment](kept(), size) }

// Collector makes lines of leaves. The zero value is empty.
type Collector struct{ lines map[[2]string]*Line }

// Add takes in the next leaf.
func (c *Collector) Add(l leaf.Leaf) {
	line, ok := FromLeaf(l)
	if !ok {
		return
	}
	key := [2]string{line.ObjectKey, line.IdempotencyKey}
	if have := c.lines[key]; have != nil {
		have.add(line)
		return
	}
	if c.lines == nil {
		c.lines = map[[2]string]*Line{}
	}
	c.lines[key] = &line
}

// Lines yields what was collected, in order.
func (c *Collector) Lines() iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		keys := slices.SortedFunc(maps.Keys(c.lines), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
		for _, k := range keys {
			if !yield(*c.lines[k], nil) {
				return
			}
		}
	}
}

// Write makes the objects of a segment from its lines, which come in order, and calls put for each.
func (s Segment) Write(e epoch.ID, lines iter.Seq2[Line, error], put func(key string, body []byte) error) error {
	var body []byte
	part, count := 0, int64(0)
	for l, err := range lines {
		if err != nil {
			return err
		}
		b, err := l.encode()
		if err != nil {
			return err
		}
		body, count = append(body, b...), count+1
		if len(body) < partSize {
			continue
		}
		if err := put(s.key(e, part), body); err != nil {
			return err
		}
		part, body = part+1, nil
	}
	last, err := json.Marshal(end{&count})
	if err != nil {
		return err
	}
	return put(s.key(e, part), append(append(body, last...), '\n'))
}

// Merge makes a segment from the 16 smaller ones that it is of. It holds one object and a chunk of each source in memory.
func (s Segment) Merge(ctx context.Context, r objstore.Reader, e epoch.ID, put func(key string, body []byte) error) error {
	var sources []iter.Seq2[Line, error]
	for _, from := range sizes.Sources[Segment](kept(), s.Bits, s.N) {
		sources = append(sources, from.Lines(ctx, r, e))
	}
	return s.Write(e, Merge(sources), put)
}
