// Package quarantine is the book of what differs and is never mended by overwriting: copies of other bytes, second
// versions, two keys of one recording, objects that nobody knows. It lies in the KV bucket twinreel-quarantine, one record
// for a recording, or for an object that belongs to none.
//
// A record is open until a person has looked, and resolved it: what was noted then counts no more, however often it is
// found again, while anything else opens the record again. Nothing is ever taken out of the book.
package quarantine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// What is answered where there is no record, and where a record is no longer the one that was judged.
var (
	ErrNone    = errors.New("not in quarantine")
	ErrChanged = errors.New("more was noted meanwhile: look again")
)

// tries is how often a change is repeated when somebody else was quicker.
const tries = 16

// Book is the book. It is safe for concurrent use, by several processes. Errors but ErrNone and ErrChanged are faults, and
// mean that it is not known whether something was changed: noting and resolving may be repeated.
type Book struct {
	js  jetstream.JetStream
	kv  jetstream.KeyValue
	now func() time.Time
}

// Open opens the book. queue.ErrNotProvisioned where there is none.
func Open(ctx context.Context, js jetstream.JetStream) (*Book, error) {
	kv, err := js.KeyValue(ctx, queue.Quarantine)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, fmt.Errorf("bucket %s: %w", queue.Quarantine, queue.ErrNotProvisioned)
	}
	if err != nil {
		return nil, unanswered("open", queue.Refused(js.Conn(), err))
	}
	return &Book{js, kv, time.Now}, nil
}

// About says of what differences are noted: a recording by its idempotency key, else an object that belongs to none.
type About struct {
	IdempotencyKey string // "" for an object that belongs to no recording
	ObjectKey      string // the media's, as far as it is known
}

// Note notes differences. fresh says that one of them was not noted before, or with other evidence: then the record is
// open, whoever resolved it. Differences that are noted already are left as they are, and cost one read.
func (b *Book) Note(ctx context.Context, about About, diffs ...Difference) (fresh bool, err error) {
	return b.change(ctx, about, func(r *Record) bool { return r.note(b.now(), diffs) })
}

// Discard notes that somebody discarded tier t's dead letter of a recording. It neither opens nor resolves the record.
func (b *Book) Discard(ctx context.Context, about About, t tier.Tier, by, reason string) error {
	_, err := b.change(ctx, about, func(r *Record) bool {
		now := b.now().UTC()
		if r.Since.IsZero() {
			r.Since = now
		}
		if r.Discarded == nil {
			r.Discarded = map[tier.Tier]Resolution{}
		}
		r.Discarded[t] = Resolution{By: by, Reason: short(reason), At: now}
		return true
	})
	return err
}

// change changes a record, or makes it, unless how says that nothing is to be written.
func (b *Book) change(ctx context.Context, about About, how func(*Record) bool) (changed bool, err error) {
	name := Record{IdempotencyKey: about.IdempotencyKey, ObjectKey: about.ObjectKey}.Name()
	for range tries {
		r, err := b.Get(ctx, name)
		if errors.Is(err, ErrNone) {
			r, err = Record{IdempotencyKey: about.IdempotencyKey, ObjectKey: about.ObjectKey}, nil
		}
		if err != nil {
			return false, err
		}
		if r.ObjectKey == "" {
			r.ObjectKey = about.ObjectKey
		}
		if !how(&r) {
			return false, nil
		}
		if err = b.write(ctx, r); !errors.Is(err, ErrChanged) {
			return err == nil, err
		}
	}
	return false, unanswered("change", fmt.Errorf("%s: others were quicker %d times", name, tries))
}

// Get returns the record of that name: an idempotency key, or Stranger of an object's key. ErrNone.
func (b *Book) Get(ctx context.Context, name string) (Record, error) {
	got, err := b.kv.Get(ctx, event.HashKey(name))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Record{}, ErrNone
	}
	if err != nil {
		return Record{}, unanswered("read", queue.Refused(b.js.Conn(), err))
	}
	r, err := parse(got.Value())
	r.revision = got.Revision()
	return r, err
}

// Resolve notes that a person has looked at the record as it was read. ErrChanged: more has been noted since, which he
// has not seen. One that is resolved already gets this resolution instead.
func (b *Book) Resolve(ctx context.Context, seen Record, by, reason string) error {
	seen.Resolved = &Resolution{By: by, Reason: short(reason), At: b.now().UTC().Truncate(time.Second)}
	return b.write(ctx, seen)
}

// All yields every record, the one that was changed first first; it stops at the first error. Memory does not grow with
// their number.
func (b *Book) All(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		stop := errors.New("stopped")
		err := scan.Stream(ctx, b.js, queue.BucketStream(queue.Quarantine), scan.Range{}, func(m scan.Message) error {
			if deleted(m) {
				return nil
			}
			r, err := parse(m.Body)
			if err != nil {
				return err
			}
			r.revision = m.Sequence
			if !yield(r, nil) {
				return stop
			}
			return nil
		})
		if err != nil && !errors.Is(err, stop) {
			yield(Record{}, err)
		}
	}
}

// deleted reports whether a message of the bucket says that somebody deleted a record by hand.
func deleted(m scan.Message) bool { return m.Header.Get("KV-Operation") != "" }

// write writes the record at the revision at which it was read. ErrChanged.
func (b *Book) write(ctx context.Context, r Record) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode a quarantine record: %w", err)
	}
	if r.revision == 0 {
		_, err = b.kv.Create(ctx, event.HashKey(r.Name()), body)
	} else {
		_, err = b.kv.Update(ctx, event.HashKey(r.Name()), body, r.revision)
	}
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrKeyExists), errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		return ErrChanged
	}
	return unanswered("write", queue.Refused(b.js.Conn(), err))
}

// parse reads a record.
func parse(body []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(body, &r); err != nil {
		return Record{}, fault.New(fault.Permanent, fault.Queue, "read a quarantine record", errors.New("the entry of "+queue.Quarantine+" is no record"))
	}
	return r, nil
}

func unanswered(what string, err error) error {
	return fault.New(fault.Unavailable, fault.Queue, what+" the bucket "+queue.Quarantine, err)
}
