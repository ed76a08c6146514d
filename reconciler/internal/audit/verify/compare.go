package verify

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/tree"
)

var _ tree.Sink = (*walk)(nil)

// Put implements tree.Sink: it holds what was made against what is stored.
func (w *walk) Put(ctx context.Context, key string, body []byte) error {
	if body == nil {
		w.unknown(key)
		return nil
	}
	w.mu.Lock()
	w.expected[key] = true
	have, read := w.read[key]
	size, there := w.objects[key]
	err := w.err
	w.mu.Unlock()
	switch {
	case err != nil:
		return err
	case read && have != nil:
		w.compare(key, body, have)
		return nil
	case !there:
		w.differs(key, body)
		w.finding(Missing, key, -1, "%s", about(key))
		return nil
	case size != int64(len(body)):
		w.differs(key, body)
		w.finding(Changed, key, -1, "it has %d bytes, want %d", size, len(body))
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case w.slots <- struct{}{}:
	}
	w.all.Go(func() {
		defer func() { <-w.slots }()
		have, err := w.get(ctx, key)
		if err != nil {
			w.mu.Lock()
			w.err = err
			w.mu.Unlock()
			return
		}
		w.compare(key, body, have)
	})
	return nil
}

// unknown notes an object, or a folder of objects, that hangs on a leaf that is not known.
func (w *walk) unknown(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.HasSuffix(key, "/") {
		w.prefixes = append(w.prefixes, key)
		return
	}
	w.expected[key] = true
}

// differs keeps what an object should be: the larger ones are made from it.
func (w *walk) differs(key string, body []byte) {
	_, rest, _ := epoch.Split(key)
	if !strings.HasPrefix(rest, "index/") && !strings.HasPrefix(rest, "roster/") {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rebuilt[key] = body
}

// compare tells where an object is not what it should be.
func (w *walk) compare(key string, want, have []byte) {
	if bytes.Equal(want, have) {
		return
	}
	w.differs(key, want)
	if len(want) != len(have) {
		w.finding(Changed, key, -1, "it has %d bytes, want %d", len(have), len(want))
		return
	}
	at := 0
	for want[at] == have[at] {
		at++
	}
	_, rest, _ := epoch.Split(key)
	n := int64(-1)
	detail := ""
	if t, err := tlog.ParseTilePath(rest); err == nil {
		if t.L == 0 {
			n = t.N<<tree.Height + int64(at/tlog.HashSize)
		}
		if t.L >= 0 {
			detail = fmt.Sprintf(", in hash %d of level %d", t.N<<tree.Height+int64(at/tlog.HashSize), t.L*tree.Height)
		}
	}
	w.finding(Changed, key, n, "byte %d is 0x%02x, want 0x%02x%s", at, have[at], want[at], detail)
}

// about says what is missing.
func about(key string) string {
	_, rest, _ := epoch.Split(key)
	t, err := tlog.ParseTilePath(rest)
	switch {
	case err == nil && t.L < 0:
		return fmt.Sprintf("the leaves %d to %d are not there", t.N<<tree.Height, t.N<<tree.Height+int64(t.W)-1)
	case err == nil:
		return fmt.Sprintf("hashes %d to %d of level %d are not there", t.N<<tree.Height, t.N<<tree.Height+int64(t.W)-1, t.L*tree.Height)
	}
	return "it is not there"
}

// Flush implements tree.Sink.
func (w *walk) Flush(context.Context) error {
	w.all.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Checkpoint implements tree.Sink: it holds the stored checkpoint against what the leaves say.
func (w *walk) Checkpoint(ctx context.Context, c checkpoint.Checkpoint) error {
	key := checkpoint.Key(w.epoch, c.Serial)
	w.expected[key] = true
	w.one.heads[c.Size] = head{c.Root, w.marked.Stored}
	w.one.Checkpoints++
	if c.Serial == 1 {
		w.one.first = c
	}
	if _, there := w.objects[key]; !there {
		w.finding(Missing, key, -1, "the checkpoint of %d leaves is not there", c.Size)
		return nil
	}
	have, _, err := w.checkpoint(ctx, c.Serial)
	if err != nil || have == nil {
		return err
	}
	if c.Serial == 1 && w.blind {
		c.Previous = have.Previous // only the mark would say
		w.one.first = c
	}
	if !have.Says(c) {
		w.finding(Rewritten, key, -1, "it says size %d, root %s, previous %s; by the leaves it is size %d, root %s, previous %s",
			have.Size, have.Root, have.Previous, c.Size, c.Root, c.Previous)
	}
	return nil
}

// mended is the store as it should be.
type mended struct {
	objstore.Reader
	walk *walk
}

// Open implements objstore.Reader: what is not as it should be is read as it should.
func (m mended) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	m.walk.mu.Lock()
	b, ok := m.walk.rebuilt[key]
	m.walk.mu.Unlock()
	if !ok {
		return m.Reader.Open(ctx, key, off, n)
	}
	b = b[min(off, int64(len(b))):]
	if n >= 0 {
		b = b[:min(n, int64(len(b)))]
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}
