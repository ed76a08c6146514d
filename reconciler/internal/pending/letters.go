package pending

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// Letters tells at once which dead letters a recording has: an index of RECORDINGS_DLQ, whose size bounds it, at some 40
// bytes for each letter. It is safe for concurrent use.
type Letters struct {
	js       jetstream.JetStream
	seed     maphash.Seed
	follower *scan.Follower

	mu    sync.Mutex
	known map[uint64][]uint64 // sequences by the hash of the key; those that are gone are noticed when asked for
}

// NewLetters returns an index that knows nothing before Run runs.
func NewLetters(js jetstream.JetStream, log *zap.Logger) *Letters {
	x := &Letters{js: js, seed: maphash.MakeSeed(), known: map[uint64][]uint64{}}
	x.follower = &scan.Follower{JS: js, Stream: queue.DeadLetters, Visit: x.take, Log: log}
	return x
}

// Run keeps up with the stream until ctx ends.
func (x *Letters) Run(ctx context.Context) { x.follower.Run(ctx) }

func (x *Letters) take(m scan.Message) {
	l, _, _ := letters.Open(m) // a body that is no event may tell a key, too
	if l.IdempotencyKey == "" {
		return
	}
	h := maphash.String(x.seed, l.IdempotencyKey)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.known[h] = append(x.known[h], m.Sequence)
}

// Find returns the recording's letters, oldest first. An error means that they could not be asked for before ctx ended.
func (x *Letters) Find(ctx context.Context, key string) (out []letters.Full, err error) {
	for tick := time.NewTicker(lookEvery); !x.follower.Whole(); {
		select {
		case <-ctx.Done():
			return nil, unanswered(ctx.Err())
		case <-tick.C:
		}
	}
	h := maphash.String(x.seed, key)
	x.mu.Lock()
	list := slices.Clone(x.known[h])
	x.mu.Unlock()
	for _, seq := range list {
		found, err := letters.Get(ctx, x.js, seq)
		switch {
		case err != nil:
			return nil, unanswered(err)
		case len(found) == 0:
			x.forget(h, seq)
		case found[0].IdempotencyKey == key:
			out = append(out, found[0])
		}
	}
	return out, nil
}

func (x *Letters) forget(h, seq uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.known[h] = slices.DeleteFunc(x.known[h], func(s uint64) bool { return s == seq }); len(x.known[h]) == 0 {
		delete(x.known, h)
	}
}
