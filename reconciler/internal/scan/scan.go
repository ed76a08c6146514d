// Package scan reads what a stream holds at this moment, in order, without leaving a trace in it.
package scan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
)

// resets is how often a consumer that broke is made anew before the reading fails.
const resets = 3

// patience is how long the server may take for the next message.
const patience = 5 * time.Second

// farewell is how long it may take to remove a consumer.
const farewell = time.Second

// Range says which messages of a stream to read.
type Range struct {
	Subjects []string  // none: all
	From     uint64    // the first stream sequence; 0: from the start
	Since    time.Time // instead of From: what was stored then or later
	Headers  bool      // without bodies
}

// consumer is the consumer that reads the range.
func (r Range) consumer() jetstream.OrderedConsumerConfig {
	c := jetstream.OrderedConsumerConfig{
		FilterSubjects: r.Subjects, DeliverPolicy: jetstream.DeliverAllPolicy, HeadersOnly: r.Headers, MaxResetAttempts: resets,
	}
	switch {
	case !r.Since.IsZero():
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.Since
	case r.From > 1:
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.From
	}
	return c
}

// Message is one message of a stream.
type Message struct {
	Subject  string
	Sequence uint64
	Stored   time.Time
	Header   nats.Header
	Body     []byte
}

// Stream calls visit for each message of the range that the stream holds when the reading begins, oldest first, and
// stops at visit's first error, which it returns. Messages that are removed meanwhile may be left out.
func Stream(ctx context.Context, js jetstream.JetStream, name string, r Range, visit func(Message) error) error {
	stream, err := js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("stream %s: %w", name, queue.ErrNotProvisioned)
	}
	if err != nil {
		return fmt.Errorf("read stream %s: %w", name, err)
	}
	end := stream.CachedInfo().State.LastSeq
	consumer, err := stream.OrderedConsumer(ctx, r.consumer())
	if err != nil {
		return fmt.Errorf("read stream %s: %w", name, err)
	}
	defer remove(ctx, stream, consumer)
	if consumer.CachedInfo().NumPending == 0 {
		return nil
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("read stream %s: %w", name, err)
	}
	defer messages.Stop()
	for {
		last, err := next(ctx, consumer, messages, end, visit)
		if err != nil {
			return fmt.Errorf("read stream %s: %w", name, err)
		}
		if last {
			return nil
		}
	}
}

// remove removes the consumer, also where ctx has ended. One that stays all the same is removed by the server, minutes
// later: until then it counts against the stream's bound, which commands that are called often would meet.
func remove(ctx context.Context, stream jetstream.Stream, consumer jetstream.Consumer) {
	info := consumer.CachedInfo() // of the newest, where it broke and was made anew
	if info == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	_ = stream.DeleteConsumer(ctx, info.Name)
}

// next visits one message and says whether it was the last.
func next(ctx context.Context, consumer jetstream.Consumer, messages jetstream.MessagesContext, end uint64, visit func(Message) error) (last bool, err error) {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	msg, err := messages.Next(jetstream.NextContext(wait))
	if err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			if info, ierr := consumer.Info(ctx); ierr == nil && info.NumPending == 0 {
				return true, nil // the rest was removed while we read
			}
		}
		return false, err
	}
	m, pending, err := unpack(msg)
	if err != nil {
		return false, err
	}
	return pending == 0 || m.Sequence >= end, visit(m)
}

// unpack returns a message, and how many more of the range the stream held when it was sent.
func unpack(msg jetstream.Msg) (m Message, pending uint64, err error) {
	meta, err := msg.Metadata()
	if err != nil {
		return Message{}, 0, err
	}
	return Message{
		Subject: msg.Subject(), Sequence: meta.Sequence.Stream, Stored: meta.Timestamp, Header: msg.Headers(), Body: msg.Data(),
	}, meta.NumPending, nil
}
