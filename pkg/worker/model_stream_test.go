package worker

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
)

// stream is a stream as far as it matters: messages in order, and each message ID once within the window.
type stream struct {
	name    string
	window  time.Duration
	refuses atomic.Bool // it is full, or away
	all     []*stored
	ids     map[string]*stored
}

// stored is a message that a stream has acknowledged.
type stored struct {
	seq     uint64
	subject string
	header  nats.Header
	body    []byte
	at      time.Time
}

func newStream(name string, window time.Duration) *stream {
	return &stream{name: name, window: window, ids: map[string]*stored{}}
}

// add is what a publish does once it has arrived.
func (s *stream) add(msg *nats.Msg, id string, now time.Time) (ack *jetstream.PubAck, fresh *stored) {
	if old := s.ids[id]; id != "" && old != nil && now.Sub(old.at) < s.window {
		return &jetstream.PubAck{Stream: s.name, Sequence: old.seq, Duplicate: true}, nil
	}
	fresh = &stored{seq: uint64(len(s.all) + 1), subject: msg.Subject, header: msg.Header, body: msg.Data, at: now}
	s.all = append(s.all, fresh)
	if id != "" {
		s.ids[id] = fresh
	}
	return &jetstream.PubAck{Stream: s.name, Sequence: fresh.seq}, fresh
}

// js is JetStream as one process sees it. Calls that no worker makes are those of a nil interface.
type js struct {
	jetstream.JetStream
	model   *model
	process *process // nil: ingress, or an operator
}

var errNoAnswer = errors.New("no answer")

// PublishMsg implements jetstream.Publisher.
func (j *js) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (ack *jetstream.PubAck, err error) {
	m, s, id := j.model, j.model.streamOf(msg.Subject), messageID(opts)
	err = m.step(ctx, seam{
		op: "publish " + msg.Subject, key: id, lost: errNoAnswer,
		weather: func() error {
			if s.refuses.Load() {
				return &jetstream.APIError{Code: 503, ErrorCode: 10077, Description: "maximum bytes exceeded"}
			}
			return nil
		},
		effect: func() error {
			var fresh *stored
			if ack, fresh = s.add(msg, id, time.Now()); fresh != nil {
				m.published(handOf(ctx), s, fresh)
			}
			return nil
		},
	})
	return ack, err
}

// messageID returns what jetstream.WithMsgID put into the options, whose type is the library's own.
func messageID(opts []jetstream.PublishOpt) string {
	if len(opts) == 0 {
		return ""
	}
	all := reflect.New(reflect.TypeOf(opts[0]).In(0).Elem())
	for _, o := range opts {
		reflect.ValueOf(o).Call([]reflect.Value{all})
	}
	return all.Elem().FieldByName("id").String()
}

func (m *model) streamOf(subject string) *stream {
	switch {
	case strings.HasPrefix(subject, "recordings.dlq."):
		return m.letters
	case strings.HasPrefix(subject, "recordings."):
		return m.recordings
	case strings.HasPrefix(subject, "audit."):
		return m.audit
	}
	panic("no stream takes " + subject)
}

// Stream implements jetstream.StreamManager: the worker asks it whether AUDIT has room.
func (j *js) Stream(context.Context, string) (jetstream.Stream, error) {
	info := jetstream.StreamInfo{Config: jetstream.StreamConfig{MaxBytes: 1 << 30}}
	if j.model.audit.refuses.Load() {
		info.State.Bytes = 1 << 30
	}
	return &audited{info: info}, nil
}

// audited is the AUDIT stream.
type audited struct {
	jetstream.Stream
	info jetstream.StreamInfo
}

// CachedInfo implements jetstream.Stream.
func (a *audited) CachedInfo() *jetstream.StreamInfo { return &a.info }

// bucket is the KV bucket of the digests.
type bucket struct {
	jetstream.KeyValue
	model   *model
	away    atomic.Bool
	last    uint64
	entries map[string]entry
}

// entry is what the bucket holds under a key.
type entry struct {
	jetstream.KeyValueEntry
	value    []byte
	revision uint64
	made     time.Time
}

// Value implements jetstream.KeyValueEntry.
func (e entry) Value() []byte { return e.value }

// Revision implements jetstream.KeyValueEntry.
func (e entry) Revision() uint64 { return e.revision }

func (b *bucket) step(ctx context.Context, op, key string, effect func() error) error {
	return b.model.step(ctx, seam{op: "kv " + op, key: b.model.nameOf(key), effect: effect, lost: errNoAnswer, weather: func() error {
		if b.away.Load() {
			return errNoAnswer
		}
		return nil
	}})
}

func (b *bucket) set(key string, value []byte) uint64 {
	b.last++
	b.entries[key] = entry{value: value, revision: b.last, made: time.Now()}
	return b.last
}

// Create implements jetstream.KeyValue.
func (b *bucket) Create(ctx context.Context, key string, value []byte, _ ...jetstream.KVCreateOpt) (rev uint64, err error) {
	err = b.step(ctx, "create", key, func() error {
		if _, there := b.entries[key]; there {
			return jetstream.ErrKeyExists
		}
		rev = b.set(key, value)
		return nil
	})
	return rev, err
}

// Get implements jetstream.KeyValue.
func (b *bucket) Get(ctx context.Context, key string) (got jetstream.KeyValueEntry, err error) {
	err = b.step(ctx, "get", key, func() error {
		e, there := b.entries[key]
		if !there {
			return jetstream.ErrKeyNotFound
		}
		got = e
		return nil
	})
	return got, err
}

// Update implements jetstream.KeyValue.
func (b *bucket) Update(ctx context.Context, key string, value []byte, revision uint64) (rev uint64, err error) {
	err = b.step(ctx, "update", key, func() error {
		if e, there := b.entries[key]; !there || e.revision != revision {
			return &jetstream.APIError{Code: 400, ErrorCode: jetstream.JSErrCodeStreamWrongLastSequence, Description: fmt.Sprintf("not revision %d", revision)}
		}
		rev = b.set(key, value)
		return nil
	})
	return rev, err
}

// originOf is the message that an audit event's or a dead letter's message ID names, 0 if none.
func originOf(id string) (seq uint64) {
	if i := strings.LastIndex(id, "/"+queue.Recordings+"/"); i >= 0 {
		_, _ = fmt.Sscanf(id[i+len(queue.Recordings)+2:], "%d", &seq)
	}
	return seq
}
