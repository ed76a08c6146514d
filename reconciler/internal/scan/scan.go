// Package scan reads what a stream holds at this moment, in order, without leaving a trace in it.
package scan

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// resets is how often a consumer that broke is made anew, without a message since, before the reading fails.
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

// Stream calls visit for each message of the range that the stream holds when the reading begins, oldest first, once each,
// and stops at visit's first error, which it returns. Messages that are removed meanwhile may be left out. A reading that
// breaks goes on behind what was visited; it has ended when the stream's leader has nothing more of the range, not when a
// consumer has nothing more to send: what it sent may be lost, and the replica that it is on may lag.
func Stream(ctx context.Context, js jetstream.JetStream, name string, r Range, visit func(Message) error) error {
	reading := &reading{js: js, name: name, span: r, visit: visit, patience: patience}
	if err := reading.run(ctx); err != nil {
		return fmt.Errorf("read stream %s: %w", name, err)
	}
	return nil
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
