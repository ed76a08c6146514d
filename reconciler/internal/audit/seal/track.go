package seal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/leaf"
	"github.com/twinreel/twinreel/reconciler/internal/audit/tree"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// track is the log in one store.
type track struct {
	*Sealer
	tier  tier.Tier
	store Store

	builder   *tree.Builder // nil: to be resumed
	out       *writer       // of the builder
	completed time.Time     // when the older epochs were last compared
	unheard   time.Time     // since when the other store cannot be asked for what is missing
	proven    struct {      // the leaves that a purge has read in the store
		epoch epoch.ID
		size  int64
	}
	unproven atomic.Bool // what a purge has read there is not what was sealed
	failed   struct {    // where
		head         checkpoint.Head
		first, limit int64
	}

	mu    sync.Mutex
	epoch epoch.ID // of what is known
	size  int64    // by the last checkpoint that is known to be stored
}

// olderEvery is how often the older epochs are compared between the stores.
const olderEvery = time.Hour

// errEnough ends a reading of the stream.
var errEnough = errors.New("read far enough")

// errAnew says that the stream is another one by now.
var errAnew = errors.New("the stream was made anew meanwhile")

// reached is how far the store is sealed in the epoch, if that is known.
func (t *track) reached(e epoch.ID) (int64, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.size, t.epoch == e
}

func (t *track) note(e epoch.ID, size int64) {
	t.mu.Lock()
	t.epoch, t.size = e, size
	t.mu.Unlock()
	t.Metrics.reached(t.tier, size)
}

// sibling is the log in the other store, nil if there is none.
func (t *track) sibling() *track { return t.tracks[t.tier.Sibling()] }

// advance seals up to the stream's last mark.
func (t *track) advance(ctx context.Context) error {
	err := t.seal(ctx)
	if err != nil {
		t.builder = nil // it may have put what it was refused: begin at the last checkpoint
	}
	t.Metrics.broken(t.tier, err != nil && alarming(err) || t.unproven.Load())
	return err
}

func (t *track) seal(ctx context.Context) error {
	_, _, e, err := t.stream(ctx)
	if err != nil {
		return err
	}
	if err := t.older(ctx, e); err != nil {
		return err
	}
	if t.builder == nil || t.builder.Epoch() != e {
		if err := t.resume(ctx, e); err != nil {
			return err
		}
	}
	end, err := t.lastMark(ctx)
	if err != nil || uint64(t.builder.Size()) >= end {
		return err
	}
	err = scan.Stream(ctx, t.JS, queue.Audit, scan.Range{From: uint64(t.builder.Size()) + 1}, func(m scan.Message) error {
		if m.Sequence > end {
			return errEnough
		}
		return t.add(ctx, m)
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// resume begins behind the store's own last checkpoint.
func (t *track) resume(ctx context.Context, e epoch.ID) error {
	keys, err := t.Keys()
	if err != nil {
		return err
	}
	t.out = newWriter(t, keys, e)
	t.builder, err = t.from(ctx, keys, e, t.out)
	if err != nil {
		return err
	}
	if _, err := t.agreesAt(ctx, keys, t.builder.Serial(), t.builder.Head()); err != nil {
		return err
	}
	t.note(e, t.builder.Size())
	return nil
}

// from returns a builder behind the last checkpoint of an epoch.
func (t *track) from(ctx context.Context, keys checkpoint.Keys, e epoch.ID, out tree.Sink) (*tree.Builder, error) {
	note, serial, err := audit.Last(ctx, t.store.Reader, e, 0)
	if err != nil {
		return nil, err
	}
	if serial == 0 {
		return tree.New(e, out, t.store.Reader), nil
	}
	c, err := (&audit.Log{Keys: keys}).Open(e, serial, note)
	if err != nil {
		return nil, err
	}
	return tree.Resume(ctx, c, out, t.store.Reader)
}

// add adds a message, and before it what is missing in the stream up to it.
func (t *track) add(ctx context.Context, m scan.Message) error {
	if want := uint64(t.builder.Size()) + 1; m.Sequence > want {
		if err := t.fill(ctx, want, m.Sequence); err != nil {
			return err
		}
	}
	if m.Sequence <= uint64(t.builder.Size()) {
		return nil // the other store had it, too
	}
	return t.builder.Add(ctx, tree.ItemOf(leaf.Leaf{
		Sequence: m.Sequence, Subject: m.Subject, Stored: m.Stored.UTC(), MsgID: m.Header.Get("Nats-Msg-Id"), Body: m.Body,
	}))
}

// fill adds the leaves from a sequence up to, not including, another, which the stream does not have: they were purged because
// the other store has sealed them, or they are lost.
func (t *track) fill(ctx context.Context, from, to uint64) error {
	m, err := t.at(ctx, from, "")
	switch {
	case err != nil && !errors.Is(err, scan.ErrNoMessage):
		return err
	case err == nil && m.Sequence < to:
		return fmt.Errorf("the stream's leader has message %d, which was not delivered; reading again", m.Sequence)
	}
	_, info, e, err := t.stream(ctx)
	if err != nil {
		return err
	}
	if e != t.builder.Epoch() {
		return errAnew
	}
	answered, err := t.copyFrom(ctx, e, t.builder, int64(to)-1)
	if answered {
		t.unheard = time.Time{}
	}
	if uint64(t.builder.Size()) >= to-1 {
		return err
	}
	// What is gone from the stream's beginning was purged, and purged is only what some store has sealed: without the other
	// store's word it is not lost. A hole further behind is; the other store may still have read it before it was.
	purged := from < info.State.FirstSeq
	if err != nil || !answered {
		if purged || !t.impatient() {
			return fmt.Errorf("messages %d to %d are missing in the stream, and the other store's log cannot be asked: %w", uint64(t.builder.Size())+1, to-1, err)
		}
	}
	lost := uint64(t.builder.Size()) + 1
	t.Log.Error("audit messages are lost: the log has gaps in their place", zap.Uint64("from", lost), zap.Uint64("to", to-1), zap.String("epoch", string(e)))
	t.Metrics.gaps(to - lost)
	for ; lost < to; lost++ {
		if err := t.builder.Add(ctx, tree.ItemOf(leaf.Gap(lost))); err != nil {
			return err
		}
	}
	return nil
}

// impatient reports whether it was long enough that the other store could not be asked.
func (t *track) impatient() bool {
	if t.unheard.IsZero() {
		t.unheard = t.Now()
	}
	return t.Now().Sub(t.unheard) >= t.Pace.Patience
}
