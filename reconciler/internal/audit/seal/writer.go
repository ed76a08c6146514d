package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/fetch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/tree"
	"github.com/twinreel/twinreel/reconciler/internal/audit/vault"
)

// ErrDiverged is returned where the two stores' logs contradict each other.
var ErrDiverged = errors.New("the two stores' logs contradict each other")

// alarming reports whether an error will not go away by itself: history was rewritten, or there are two truths.
func alarming(err error) bool {
	return errors.Is(err, vault.ErrOther) || errors.Is(err, ErrDiverged) || errors.Is(err, checkpoint.ErrSignature) || tree.Changed(err)
}

// writer puts what a builder makes into a store, several objects at a time.
type writer struct {
	*track
	keys  checkpoint.Keys
	epoch epoch.ID
	slots chan struct{}
	all   sync.WaitGroup

	mu  sync.Mutex
	err error // the first
}

var _ tree.Sink = (*writer)(nil)

func newWriter(t *track, keys checkpoint.Keys, e epoch.ID) *writer {
	return &writer{track: t, keys: keys, epoch: e, slots: make(chan struct{}, fetch.Side)}
}

// Put implements tree.Sink. What became of it is told by a later call.
func (w *writer) Put(ctx context.Context, key string, body []byte) error {
	if err := w.failed(nil); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case w.slots <- struct{}{}:
	}
	w.all.Go(func() {
		defer func() { <-w.slots }()
		_ = w.failed(w.store.Vault.Put(ctx, key, body)) // told by the next call
	})
	return nil
}

// failed notes an error, and returns the first.
func (w *writer) failed(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	return w.err
}

// Flush implements tree.Sink.
func (w *writer) Flush(context.Context) error {
	w.all.Wait()
	return w.failed(nil)
}

// Checkpoint implements tree.Sink. It comes last, so that all that it stands for is stored, and only if the other store says
// nothing else.
func (w *writer) Checkpoint(ctx context.Context, c checkpoint.Checkpoint) error {
	if err := w.agrees(ctx, c); err != nil {
		return err
	}
	_, _, now, err := w.stream(ctx)
	if err != nil {
		return err
	}
	c.Name = w.keys.Name()
	note, err := w.keys.Sign(c)
	if err != nil {
		return err
	}
	if c.Serial == 1 {
		if err := w.place(ctx, c.Epoch.Marker(), c, note); err != nil {
			return err
		}
	}
	if err := w.place(ctx, checkpoint.Key(c.Epoch, c.Serial), c, note); err != nil {
		return err
	}
	if now == c.Epoch {
		w.note(c.Epoch, c.Size)
	}
	return nil
}

// agrees holds a checkpoint, or where the other store does not have that one yet the one before, against the other store's.
func (w *writer) agrees(ctx context.Context, c checkpoint.Checkpoint) error {
	known, err := w.agreesAt(ctx, w.keys, c.Serial, c.Head)
	if err == nil && !known && c.Serial > 1 {
		_, err = w.agreesAt(ctx, w.keys, c.Serial-1, c.Previous)
	}
	return err
}

// agreesAt holds what stands here under a serial number against the other store's checkpoint; known is false where that has
// none, or gives no answer: it will be held against ours.
func (t *track) agreesAt(ctx context.Context, keys checkpoint.Keys, serial int64, h checkpoint.Head) (known bool, err error) {
	other := t.sibling()
	if other == nil || serial == 0 {
		return false, nil
	}
	key := checkpoint.Key(h.Epoch, serial)
	note, err := fetch.All(ctx, other.store.Reader, key)
	if err != nil {
		return false, nil //nolint:nilerr // see above
	}
	theirs, err := keys.Open(note)
	if err != nil {
		return false, nil //nolint:nilerr // what nobody signed is no reason to stop here; that store's own track stops
	}
	if theirs.Head != h {
		return true, fmt.Errorf("%w: %s has %d leaves and root %s in %s, and %d and %s by what %s was given; run reconciler audit verify", ErrDiverged, key,
			theirs.Size, theirs.Root, other.tier, h.Size, h.Root, t.tier)
	}
	return true, nil
}

// place puts a checkpoint. One that says the same, signed by another of our keys, is as good.
func (w *writer) place(ctx context.Context, key string, c checkpoint.Checkpoint, note []byte) error {
	err := w.store.Vault.Put(ctx, key, note)
	if !errors.Is(err, vault.ErrOther) {
		return err
	}
	have, ferr := fetch.All(ctx, w.store.Reader, key)
	if ferr != nil {
		return ferr
	}
	if bytes.Equal(have, note) {
		return nil
	}
	if theirs, oerr := w.keys.Open(have); oerr != nil || !theirs.Says(c) {
		return err
	}
	return nil
}
