package scan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
)

// errAnew is returned where the stream is not the one that the reading began with: its sequences mean other messages.
var errAnew = errors.New("the stream was made anew while it was read")

// reading is one reading of a stream to the end that it had when the reading began.
type reading struct {
	js       jetstream.JetStream
	name     string
	span     Range
	visit    func(Message) error
	patience time.Duration

	made    time.Time // when the stream was created
	end     uint64    // its last sequence when the reading began
	visited uint64    // the last sequence visited, 0: none
	refused error     // the visitor's
}

// run reads, by as many consumers as it takes.
func (d *reading) run(ctx context.Context) error {
	for idle := 0; ; idle++ {
		before := d.visited
		broke := d.pass(ctx)
		if d.final(ctx, broke) {
			return broke
		}
		if max(d.visited+1, d.span.From) > d.end {
			return nil
		}
		left := d.left(ctx, broke)
		if left == nil {
			return d.same(ctx)
		}
		if d.visited > before {
			idle = 0
		}
		if idle >= resets {
			return left
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(again):
		}
	}
}

// final reports whether another consumer would make no difference.
func (d *reading) final(ctx context.Context, broke error) bool {
	return d.made.IsZero() || d.refused != nil || ctx.Err() != nil || errors.Is(broke, errAnew) || errors.Is(broke, queue.ErrNotProvisioned)
}

// left is nil if the stream's leader has nothing more of the range, else it says what is left and why.
func (d *reading) left(ctx context.Context, broke error) error {
	next, err := d.span.behind(ctx, d.js, d.name, d.visited)
	switch {
	case errors.Is(err, ErrNoMessage), err == nil && next > d.end:
		return nil
	case err != nil:
		return errors.Join(broke, err)
	}
	return errors.Join(fmt.Errorf("message %d was not delivered, nor what is behind it up to %d", next, d.end), broke)
}

// same looks that the stream is still the one that was read: one that was made anew has nothing behind either.
func (d *reading) same(ctx context.Context) error {
	_, err := d.stream(ctx)
	return err
}

// stream returns the stream, and notes its end the first time.
func (d *reading) stream(ctx context.Context) (jetstream.Stream, error) {
	stream, err := d.js.Stream(ctx, d.name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, queue.ErrNotProvisioned
	}
	if err != nil {
		return nil, err
	}
	info := stream.CachedInfo()
	if d.made.IsZero() {
		d.made, d.end = info.Created, info.State.LastSeq
	}
	if !info.Created.Equal(d.made) {
		return nil, errAnew
	}
	return stream, nil
}

// pass reads with one consumer, until it has nothing more to send or breaks.
func (d *reading) pass(ctx context.Context) error {
	stream, err := d.stream(ctx)
	if err != nil {
		return err
	}
	rest := d.span
	if d.visited > 0 {
		rest.From, rest.Since = d.visited+1, time.Time{}
	}
	consumer, err := stream.OrderedConsumer(ctx, rest.consumer())
	if err != nil {
		return err
	}
	defer remove(ctx, stream, consumer)
	if consumer.CachedInfo().NumPending == 0 {
		return nil
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for {
		if last, err := d.next(ctx, messages); last || err != nil {
			return err
		}
	}
}

// next visits one message and says whether it was the last that the consumer had.
func (d *reading) next(ctx context.Context, messages jetstream.MessagesContext) (last bool, err error) {
	wait, cancel := context.WithTimeout(ctx, d.patience)
	defer cancel()
	msg, err := messages.Next(jetstream.NextContext(wait))
	if err != nil {
		return false, err
	}
	m, pending, err := unpack(msg)
	if err != nil {
		return false, err
	}
	if m.Sequence <= d.end {
		d.refused = d.visit(m)
	}
	d.visited = m.Sequence
	return pending == 0 || m.Sequence >= d.end, d.refused
}
