package scan

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
)

// again is the wait before a following that broke is begun anew.
const again = time.Second

// Follower visits what a stream holds and what comes into it, in order, once each, through any absence of NATS. Its fields
// are set before Run and not changed.
type Follower struct {
	JS     jetstream.JetStream
	Stream string
	Range  Range
	Visit  func(Message)
	Log    *zap.Logger

	mu      sync.Mutex
	through uint64 // all of the range up to here is visited
	whole   bool
}

// Whole reports whether all was visited that the stream held when the following began.
func (f *Follower) Whole() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.whole
}

// Through is the sequence up to which all of the range is visited.
func (f *Follower) Through() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.through
}

// Run follows until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	said := ""
	for ctx.Err() == nil {
		err := f.follow(ctx)
		if text := fault.Text(err); ctx.Err() == nil && text != said {
			f.Log.Warn("a stream cannot be followed", zap.String("stream", f.Stream), zap.String("error", text))
			said = text
		}
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
}

// follow goes on behind what is visited already, until it breaks.
func (f *Follower) follow(ctx context.Context) error {
	stream, err := f.JS.Stream(ctx, f.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return queue.ErrNotProvisioned
	}
	if err != nil {
		return err
	}
	end := stream.CachedInfo().State.LastSeq
	r := f.Range
	if through := f.Through(); through > 0 && through <= end { // above: the stream was made anew
		r.From, r.Since = through+1, time.Time{}
	}
	consumer, err := stream.OrderedConsumer(ctx, r.consumer())
	if err != nil {
		return err
	}
	defer remove(ctx, stream, consumer)
	if consumer.CachedInfo().NumPending == 0 {
		f.reached(end, true)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		m, pending, err := unpack(msg)
		if err != nil {
			return fmt.Errorf("a message without JetStream metadata: %w", err)
		}
		f.Visit(m)
		f.reached(m.Sequence, pending == 0)
	}
}

// reached notes how far it is. A stream that was made anew counts from its start.
func (f *Follower) reached(seq uint64, whole bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.through, f.whole = seq, f.whole || whole
}
