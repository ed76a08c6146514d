package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/fetch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/leaf"
	"github.com/twinreel/twinreel/reconciler/internal/audit/tree"
)

// walk is the verification of one epoch.
type walk struct {
	*Verifier
	report  *Report
	epoch   epoch.ID
	objects map[string]int64 // what the store has
	end     checkpoint.Checkpoint
	one     Epoch
	builder *tree.Builder

	mu       sync.Mutex
	expected map[string]bool
	told     map[string]bool
	prefixes []string          // below which everything is expected, and nothing known
	rebuilt  map[string][]byte // of objects that are not as they should be: what they should be
	read     map[string][]byte // read already, and not yet compared
	marked   leaf.Leaf         // the last mark
	blind    bool              // the last leaf is not known
	next     *checkpoint.Checkpoint
	nextOf   int64
	all      sync.WaitGroup
	slots    chan struct{}
	err      error
}

func (w *walk) run(ctx context.Context) (Epoch, error) {
	w.slots, w.told = make(chan struct{}, fetch.Side), map[string]bool{}
	w.one = Epoch{Epoch: w.epoch, heads: map[int64]head{}, Root: checkpoint.EmptyRoot()}
	if err := w.last(ctx); err != nil {
		return Epoch{}, err
	}
	if w.end.Serial > 0 {
		w.builder = tree.New(w.epoch, w, mended{w.Reader, w})
		w.one.Size, w.one.Root = w.end.Size, w.end.Root
		if err := w.leaves(ctx); err != nil {
			return Epoch{}, err
		}
		if err := w.marker(ctx); err != nil {
			return Epoch{}, err
		}
	}
	w.rest()
	return w.one, nil
}

// finding notes what is wrong with an object, once.
func (w *walk) finding(p Problem, key string, at int64, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.told[key] {
		return
	}
	w.told[key] = true
	f := Finding{Problem: p, Object: key, Detail: fmt.Sprintf(format, args...)}
	if at >= 0 {
		f.Leaf = &at
	}
	w.report.add(f)
}

// last finds the last checkpoint that is signed. What is behind it and is not, is told.
func (w *walk) last(ctx context.Context) error {
	serials := w.serials()
	for i := len(serials) - 1; i >= 0; i-- {
		c, note, err := w.checkpoint(ctx, serials[i])
		if err != nil {
			return err
		}
		if c != nil {
			w.end, w.one.note = *c, note
			return nil
		}
	}
	if _, begun := w.objects[w.epoch.Marker()]; begun && len(serials) == 0 {
		w.finding(Missing, w.epoch.Key("checkpoint/"), -1, "the epoch is marked as begun, and no checkpoint of it is there")
	}
	if len(serials) == 0 {
		w.one.Ahead = len(w.objects)
		clear(w.objects)
	}
	return nil
}

// serials are those of the checkpoints that the store has, in order.
func (w *walk) serials() []int64 {
	prefix := w.epoch.Key("checkpoint/")
	var out []int64
	for key := range w.objects {
		n, err := strconv.ParseInt(strings.TrimPrefix(key, prefix), 10, 64)
		if strings.HasPrefix(key, prefix) && err == nil && checkpoint.Key(w.epoch, n) == key && n > 0 {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// checkpoint reads a checkpoint; nil where it is not to be believed, which is told.
func (w *walk) checkpoint(ctx context.Context, serial int64) (*checkpoint.Checkpoint, []byte, error) {
	key := checkpoint.Key(w.epoch, serial)
	note, err := w.get(ctx, key)
	if err != nil || note == nil {
		return nil, nil, err
	}
	c, err := w.Keys.Open(note)
	switch {
	case err != nil:
		w.finding(Signature, key, -1, "%v", err)
		return nil, note, nil
	case c.Epoch != w.epoch || c.Serial != serial:
		w.finding(Rewritten, key, -1, "it is checkpoint %d of epoch %s", c.Serial, c.Epoch)
		return nil, note, nil
	}
	return &c, note, nil
}

// get reads an object, nil where it is not there.
func (w *walk) get(ctx context.Context, key string) ([]byte, error) {
	if _, there := w.objects[key]; !there {
		return nil, nil
	}
	b, err := fetch.All(ctx, w.Reader, key)
	if errors.Is(err, objstore.ErrNotExist) {
		return nil, nil
	}
	if b == nil && err == nil {
		b = []byte{}
	}
	return b, err
}

// leaves feeds the builder with all leaves up to the last checkpoint.
func (w *walk) leaves(ctx context.Context) error {
	tiles := (w.end.Size + tree.Width - 1) / tree.Width
	for at := int64(0); at < tiles; at += fetch.Side {
		n := min(fetch.Side, tiles-at)
		got := make([]tile, n)
		err := fetch.Each(ctx, int(n), func(ctx context.Context, i int) (err error) {
			got[i], err = w.tile(ctx, at+int64(i))
			return err
		})
		if err != nil {
			return err
		}
		for _, t := range got {
			if goOn, err := w.feed(ctx, t); err != nil || !goOn {
				return err
			}
		}
	}
	return w.Flush(ctx)
}

// feed adds the leaves of a tile; false where neither they nor their hashes are known.
func (w *walk) feed(ctx context.Context, t tile) (bool, error) {
	hashes, lines, err := w.judge(ctx, t)
	if err != nil {
		return false, err
	}
	if hashes == nil {
		w.finding(Unchecked, w.epoch.Prefix(), -1, "nothing behind leaf %d is checked, since neither leaves nor hashes of the tile at it are there", w.builder.Size())
		for key := range w.objects {
			w.expected[key] = true
		}
		return false, nil
	}
	w.mu.Lock()
	w.read[t.dataKey], w.read[t.hashKey] = t.data, t.hash
	w.mu.Unlock()
	for i, h := range hashes {
		it := tree.Item{Hash: h}
		if lines != nil {
			l, err := leaf.Parse(lines[i])
			if err != nil {
				w.finding(Changed, t.dataKey, w.builder.Size(), "%v", err)
			} else {
				it.Leaf, it.Line = l, lines[i]
			}
		}
		if err := w.item(ctx, it); err != nil {
			return false, err
		}
	}
	if err := w.Flush(ctx); err != nil {
		return false, err
	}
	clear(w.read)
	return true, nil
}

// item adds one leaf.
func (w *walk) item(ctx context.Context, it tree.Item) error {
	n := w.builder.Size()
	w.blind = it.Line == nil
	switch {
	case w.blind:
		c, err := w.upcoming(ctx)
		if err != nil {
			return err
		}
		it.Sealed = c != nil && c.Size == n+1
	case it.Leaf.Sequence != uint64(n)+1:
		w.finding(Rewritten, w.epoch.Key(tree.DataTile(n, w.end.Size).Path()), n, "leaf %d is of message %d, want %d", n, it.Leaf.Sequence, n+1)
	case it.Leaf.Gap:
		w.one.Gaps++
	case it.Leaf.IsMark():
		w.marked = it.Leaf
	}
	return w.builder.Add(ctx, it)
}

// upcoming returns the next checkpoint that the store has, nil if that is not to be believed.
func (w *walk) upcoming(ctx context.Context) (*checkpoint.Checkpoint, error) {
	serial := w.builder.Serial() + 1
	if w.nextOf != serial {
		c, _, err := w.checkpoint(ctx, serial)
		if err != nil {
			return nil, err
		}
		w.next, w.nextOf = c, serial
	}
	return w.next, nil
}

// marker holds the epoch's marker against its first checkpoint.
func (w *walk) marker(ctx context.Context) error {
	key := w.epoch.Marker()
	w.expected[key] = true
	b, err := w.get(ctx, key)
	if err != nil {
		return err
	}
	if b == nil {
		w.finding(Missing, key, -1, "the epoch has no marker: readers do not find it")
		return nil
	}
	c, err := w.Keys.Open(b)
	if err != nil {
		w.finding(Signature, key, -1, "%v", err)
	} else if w.one.first.Serial > 0 && !c.Says(w.one.first) {
		w.finding(Changed, key, -1, "it is not the epoch's first checkpoint")
	}
	return nil
}

// rest tells what the store has and the log has not.
func (w *walk) rest() {
	for _, key := range slices.Sorted(maps.Keys(w.objects)) {
		if w.expected[key] || slices.ContainsFunc(w.prefixes, func(p string) bool { return strings.HasPrefix(key, p) }) {
			continue
		}
		if w.ahead(key) {
			w.one.Ahead++
			continue
		}
		w.finding(Unexpected, key, -1, "it is not made from the log's leaves")
	}
}

// ahead reports whether the object is of leaves behind the last checkpoint: a sealing that is not done yet.
func (w *walk) ahead(key string) bool {
	_, rest, _ := epoch.Split(key)
	if t, err := tlog.ParseTilePath(rest); err == nil && t.H == tree.Height {
		level := max(t.L, 0)
		return (t.N<<tree.Height+int64(t.W))<<(tree.Height*level) > w.end.Size
	}
	parts := strings.SplitN(rest, "/", 3)
	if len(parts) != 3 || parts[0] != "index" && parts[0] != "roster" {
		return false
	}
	bits, err := strconv.Atoi(parts[1])
	path, _, _ := strings.Cut(parts[2], ".d/")
	t, terr := tlog.ParseTilePath("tile/8/0/" + path)
	return err == nil && terr == nil && bits < 32 && (t.N+1)<<bits > w.end.Size
}
