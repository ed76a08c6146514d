package pending

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
)

// audit publishes an audit event about a recording, or about none.
func (b *bed) audit(key string) {
	b.t.Helper()
	err := b.p.Audit(b.t.Context(), event.Audit{Kind: event.AuditStored, Tier: "primary", MsgID: rand.Text(), Time: time.Now(), Data: event.AuditData{IdempotencyKey: key}})
	if err != nil {
		b.t.Fatal(err)
	}
}

// logIndex runs an index that keeps at most so many events.
func (b *bed) logIndex(most int) *Log {
	x := NewLog(b.js, zap.NewNop())
	x.most = most
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); x.Run(ctx) }()
	b.t.Cleanup(func() { cancel(); <-ended })
	return x
}

// tells waits until the index has just these sequences about the recording.
func (b *bed) tells(x *Log, key string, sealed uint64, whole bool, want ...uint64) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	for {
		found, all, err := x.Find(ctx, key, sealed)
		var have []uint64
		for _, m := range found {
			have = append(have, m.Sequence)
		}
		if err == nil && slices.Equal(have, want) && all == whole {
			return
		}
		select {
		case <-ctx.Done():
			b.t.Fatalf("%s: got %v, whole %v, %v; want %v, %v", key, have, all, err, want, whole)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestAuditEventsAreFoundByTheirRecording(t *testing.T) {
	b := newBed(t)
	for _, key := range []string{"rec-1", "rec-2", "", "rec-1"} {
		b.audit(key)
	}
	x := b.logIndex(100)
	b.tells(x, "rec-1", 0, true, 1, 4)
	b.tells(x, "rec-1", 1, true, 4)
	b.tells(x, "rec-3", 0, true)
	b.audit("rec-3")
	b.tells(x, "rec-3", 0, true, 5)
	x.Sealed(4)
	b.tells(x, "rec-1", 4, true)
	b.tells(x, "rec-1", 0, false) // what is sealed is looked for elsewhere
	b.tells(x, "rec-3", 4, true, 5)
}

func TestOfManyAuditEventsTheNewestAreKeptAndThatIsSaid(t *testing.T) {
	b := newBed(t)
	for range 10 {
		b.audit("rec-1")
	}
	x := b.logIndex(4)
	b.tells(x, "rec-1", 0, false, 7, 8, 9, 10)
	b.tells(x, "rec-1", 6, true, 7, 8, 9, 10)
	b.audit("rec-2")
	b.tells(x, "rec-2", 0, false, 11)
	b.tells(x, "rec-1", 0, false, 8, 9, 10)
}

func TestWithoutTheLogNobodyCanTell(t *testing.T) {
	b := newBed(t)
	if err := b.js.DeleteStream(t.Context(), queue.Audit); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, _, err := b.logIndex(4).Find(ctx, "rec-1", 0); fault.ClassOf(err) != fault.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
