package quarantine

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
)

func TestACounterFollowsWhatIsNotedResolvedAndTakenOut(t *testing.T) {
	b := newBook(t)
	c := b.Counter()
	bucket := func() jetstream.Stream {
		s, err := b.js.Stream(t.Context(), queue.BucketStream(queue.Quarantine))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, step := range []struct {
		name string
		do   func() error
		want int
	}{
		{"nothing", func() error { return nil }, 0},
		{"five noted", func() error {
			for i := range 5 {
				b.mustNote(t, true, About{IdempotencyKey: fmt.Sprintf("rec-%d", i)}, other)
			}
			return nil
		}, 5},
		{"one resolved", func() error { b.mustResolve(t, "rec-1"); return nil }, 4},
		{"it opens again", func() error { b.mustNote(t, true, About{IdempotencyKey: "rec-1"}, two); return nil }, 5},
		{"one deleted by hand", func() error { return b.kv.Delete(t.Context(), event.HashKey("rec-2")) }, 4},
		{"one purged by hand, without a trace", func() error {
			return bucket().Purge(t.Context(), jetstream.WithPurgeSubject("$KV."+queue.Quarantine+"."+event.HashKey("rec-3")))
		}, 3},
		{"the bucket made anew", func() error {
			config := bucket().CachedInfo().Config
			if err := b.js.DeleteStream(t.Context(), config.Name); err != nil {
				return err
			}
			_, err := b.js.CreateStream(t.Context(), config)
			b.mustNote(t, true, rec1, other)
			return err
		}, 1},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got, err := c.Count(t.Context()); err != nil || got != step.want {
			t.Errorf("%s: %d open, want %d; %v", step.name, got, step.want, err)
		}
	}
}

func TestACounterReadsOnlyWhatWasChanged(t *testing.T) {
	b := newBook(t)
	c := b.Counter()
	for i := range 50 {
		b.mustNote(t, true, About{IdempotencyKey: fmt.Sprintf("rec-%d", i)}, other)
	}
	if n, err := c.Count(t.Context()); err != nil || n != 50 {
		t.Fatalf("%d open, %v", n, err)
	}
	b.mustNote(t, true, About{IdempotencyKey: "rec-50"}, other)
	before := b.js.Conn().Stats().InMsgs
	if n, err := c.Count(t.Context()); err != nil || n != 51 {
		t.Errorf("%d open, %v", n, err)
	}
	if got := b.js.Conn().Stats().InMsgs - before; got > 10 {
		t.Errorf("%d messages were read for one change", got)
	}
	before = b.js.Conn().Stats().InMsgs
	if n, err := c.Count(t.Context()); err != nil || n != 51 {
		t.Errorf("%d open, %v", n, err)
	}
	if got := b.js.Conn().Stats().InMsgs - before; got != 1 {
		t.Errorf("%d answers were read for no change", got)
	}
}
