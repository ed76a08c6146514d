package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Bucket is a KV bucket of few keys that lapse: twinreel-tiers, twinreel-leases. It is read whole, by one question to its
// stream, and not followed by a consumer: a consumer is lost with the server that holds it, which its client notices only
// after missing some heartbeats, and in a bucket that was deleted and made anew it would go on from where the old one ended.
// All that it asks for are DIRECT.GET and, where nobody answers, STREAM.INFO of its stream, and its own keys.
type Bucket struct {
	nc   *nats.Conn
	js   jetstream.JetStream
	name string
}

// NewBucket returns the bucket of that name on the connection.
func NewBucket(nc *nats.Conn, js jetstream.JetStream, name string) *Bucket {
	return &Bucket{nc: nc, js: js, name: name}
}

// Value is what a key holds.
type Value struct {
	Key      string
	Data     []byte
	Revision uint64
	Stored   time.Time // by the server's clock
}

// Put sets a key. It lapses as the bucket has it, a minute later.
func (b *Bucket) Put(ctx context.Context, key string, data []byte) error {
	return b.send(ctx, key, data, nats.Header{})
}

// Keep sets a key that does not lapse.
func (b *Bucket) Keep(ctx context.Context, key string, data []byte) error {
	return b.send(ctx, key, data, nats.Header{"Nats-TTL": {"never"}})
}

// Drop deletes a key, if it is there.
func (b *Bucket) Drop(ctx context.Context, key string) error {
	return b.send(ctx, key, nil, nats.Header{operationHeader: {"DEL"}})
}

// Headers by which a bucket's stream marks a key that is gone: deleted, or lapsed.
const (
	operationHeader = "KV-Operation"
	markerHeader    = "Nats-Marker-Reason"
)

// send publishes by hand: the client's Put has no way to say that an entry outlives its bucket's MaxAge, and its KeyValue
// asks for the stream's state before anything else.
func (b *Bucket) send(ctx context.Context, key string, data []byte, header nats.Header) error {
	msg := &nats.Msg{Subject: b.prefix() + key, Data: data, Header: header}
	if _, err := b.js.PublishMsg(ctx, msg, jetstream.WithExpectStream(BucketStream(b.name))); err != nil {
		return fmt.Errorf("bucket %s: %w", b.name, Refused(b.nc, err))
	}
	return nil
}

func (b *Bucket) prefix() string { return "$KV." + b.name + "." }

// Values returns what the keys hold that filter (a subject's last tokens, with wildcards) matches. The error is
// ErrNotProvisioned only where the server said that there is no such bucket.
func (b *Bucket) Values(ctx context.Context, filter string) ([]Value, error) {
	values, err := b.ask(ctx, filter)
	if errors.Is(err, nats.ErrNoResponders) {
		if _, missing := b.js.Stream(ctx, BucketStream(b.name)); errors.Is(missing, jetstream.ErrStreamNotFound) {
			err = ErrNotProvisioned
		}
	}
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", b.name, Refused(b.nc, err))
	}
	return values, nil
}

// ask puts the question and collects the answer: a message for each subject.
func (b *Bucket) ask(ctx context.Context, filter string) ([]Value, error) {
	var out []Value
	question := struct {
		MultiLast []string `json:"multi_last"`
	}{[]string{b.prefix() + filter}}
	more, err := directGet(ctx, b.nc, BucketStream(b.name), question, func(msg *nats.Msg) error {
		v, there, err := b.value(msg)
		if there {
			out = append(out, v)
		}
		return err
	})
	if err == nil && more != "0" {
		err = fmt.Errorf("the answer lacks %s keys", more)
	}
	return out, err
}

// value reads one message of an answer. there is false where it says that its key is gone.
func (b *Bucket) value(msg *nats.Msg) (v Value, there bool, err error) {
	if msg.Header.Get(operationHeader) != "" || msg.Header.Get(markerHeader) != "" {
		return Value{}, false, nil
	}
	v = Value{Key: strings.TrimPrefix(msg.Header.Get("Nats-Subject"), b.prefix()), Data: msg.Data}
	if v.Revision, err = strconv.ParseUint(msg.Header.Get("Nats-Sequence"), 10, 64); err != nil {
		return Value{}, false, fmt.Errorf("a sequence that is no number: %w", err)
	}
	if v.Stored, err = time.Parse(time.RFC3339Nano, msg.Header.Get("Nats-Time-Stamp")); err != nil {
		return Value{}, false, fmt.Errorf("a time that is none: %w", err)
	}
	return v, true, nil
}
