package pending

import (
	"context"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// bury publishes a dead letter.
func (b *bed) bury(t tier.Tier, origin uint64, key string) {
	b.t.Helper()
	err := b.p.Letter(b.t.Context(), queue.Letter{
		Tier: t, Body: []byte(`{"data":{"idempotencyKey":"` + key + `"}}`), Reason: queue.SourceGone, OriginStream: queue.Recordings, OriginSeq: origin,
		DeadAt: time.Now(),
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestLettersAreFoundByTheirRecordingAndForgottenOnceGone(t *testing.T) {
	b := newBed(t)
	b.bury(tier.Primary, 1, "rec-1")
	b.bury(tier.Primary, 2, "rec-2")
	b.bury(tier.Backup, 3, "rec-1")
	x := NewLetters(b.js, zap.NewNop())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	ended := make(chan struct{})
	go func() { defer close(ended); x.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	wants := func(key string, want ...uint64) {
		t.Helper()
		got, err := x.Find(ctx, key)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: got %+v, %v", key, got, err)
		}
		for i := range want {
			if got[i].Sequence != want[i] || got[i].Reason != queue.SourceGone {
				t.Errorf("%s: got %+v", key, got[i])
			}
		}
	}
	wants("rec-1", 1, 3)
	wants("rec-2", 2)
	wants("rec-3")
	s, err := b.js.Stream(t.Context(), queue.DeadLetters)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	wants("rec-1", 3)
	if n := len(x.known); n != 2 {
		t.Errorf("it keeps %d recordings", n)
	}
}

func TestLettersThatAreNotAllReadAreNotUnknown(t *testing.T) {
	b := newBed(t)
	x := NewLetters(b.js, zap.NewNop()) // it does not run
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := x.Find(ctx, "rec-1"); err == nil {
		t.Error("want an error")
	}
}
