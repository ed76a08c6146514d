package dlq

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// sweep notices letters that somebody else has removed, or that left by age.
func (f *Follower) sweep(ctx context.Context, dlq *scan.Follower) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := f.strike(ctx, dlq); err != nil && ctx.Err() == nil {
			f.Log.Warn("dead letters could not be counted", zap.String("error", fault.Text(err)))
		}
	}
}

// strike takes letters out that are no longer in the stream. The stream is read, by its headers alone, only where it
// holds less than is known.
func (f *Follower) strike(ctx context.Context, dlq *scan.Follower) error {
	stream, err := f.JS.Stream(ctx, queue.DeadLetters)
	if err != nil {
		return err
	}
	state := stream.CachedInfo().State
	through := dlq.Through()
	if !dlq.Whole() || state.LastSeq > through || uint64(f.count()) <= state.Msgs {
		return nil
	}
	there := map[uint64]bool{}
	err = scan.Stream(ctx, f.JS, queue.DeadLetters, scan.Range{Headers: true}, func(m scan.Message) error {
		there[m.Sequence] = true
		return nil
	})
	if err != nil {
		return err
	}
	f.drop(func(l letter) bool { return l.sequence <= through && !there[l.sequence] })
	return nil
}

// count returns how many letters are known.
func (f *Follower) count() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.cases {
		n += len(c.letters)
	}
	return n
}

// drop forgets letters that are gone.
func (f *Follower) drop(gone func(letter) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n, c := range f.cases {
		c.letters = slices.DeleteFunc(c.letters, gone)
		if len(c.letters) == 0 && !c.busy {
			delete(f.cases, n)
		}
	}
}
