// Package rebuild fills Redis again after it was lost: with the records of the recordings that the streams tell of within
// the life of Redis's keys, as the workers had written them. What is written is what the stores prove now.
//
// The sources are read one after the other, each as a stream, and joined in Redis itself, so memory does not grow with
// their number: AUDIT tells of copies, with the very time, version and ETag that the workers wrote; RECORDINGS when each was
// accepted, and of recordings of whose copies AUDIT tells nothing, for which the stores are asked; RECORDINGS_DLQ of open
// letters. Retries are told by nobody: they are 0. Nothing that a worker wrote, before or meanwhile, is replaced, and the
// whole may be repeated.
package rebuild

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
	"github.com/twinreel/twinreel/reconciler/internal/pending"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// Ledger is the part of the ledger that is filled.
type Ledger interface {
	Record(ctx context.Context, id string) (ledger.Record, error) // ledger.ErrNoRecord
	Refill(ctx context.Context, id string, known ledger.Record, done bool) (written bool, err error)
}

// Result is what a rebuild came to.
type Result struct {
	Copies    int `json:"copies"`    // told of by the log or found, and proven by the store
	Missing   int `json:"missing"`   // told of by the log, and not in the store as it says
	Letters   int `json:"letters"`   // open dead letters
	Events    int `json:"events"`    // read of RECORDINGS
	Forgotten int `json:"forgotten"` // told of a recording that was forgotten, and left out
	Written   int `json:"written"`   // writes that changed Redis
}

// Rebuilder fills Redis again. Its fields are set before Run and not changed.
type Rebuilder struct {
	JS        jetstream.JetStream
	Ledger    Ledger // nil: a dry run
	Stores    map[tier.Tier]objstore.Reader
	Forgotten map[string]struct{} // hashes (event.HashKey) of what was forgotten
	Since     time.Time           // what is older is left out: its keys would have lapsed
	Step      func(Result)        // told now and then

	events jetstream.Stream // RECORDINGS

	mu     sync.Mutex
	result Result
}

// Run fills Redis. At an error what is filled by then is right, and the whole may be repeated.
func (r *Rebuilder) Run(ctx context.Context) (Result, error) {
	var err error
	if r.events, err = r.JS.Stream(ctx, queue.Recordings); err != nil {
		return Result{}, fault.New(fault.Unavailable, fault.Queue, "read the stream "+queue.Recordings, err)
	}
	err = r.read(ctx, queue.Audit, scan.Range{Since: r.Since, Subjects: copySubjects()}, r.copied)
	if err == nil {
		err = r.read(ctx, queue.Recordings, scan.Range{Since: r.Since}, r.accepted)
	}
	if err == nil {
		err = r.read(ctx, queue.DeadLetters, scan.Range{}, r.givenUp)
	}
	return r.now(), err
}

// copySubjects are those of the audit events that follow a write of a copy into the ledger.
func copySubjects() (out []string) {
	for _, kind := range []event.AuditKind{event.AuditStored, event.AuditAlreadyPresent, event.AuditAcceptedUnverified} {
		out = append(out, queue.AuditSubject(string(kind), "*"))
	}
	return out
}

// read reads a stream, and takes its messages side by side, but those of one recording in their order.
func (r *Rebuilder) read(ctx context.Context, stream string, span scan.Range, take func(context.Context, string, scan.Message) error) error {
	lanes := newLanes(ctx)
	err := scan.Stream(lanes.ctx, r.JS, stream, span, func(m scan.Message) error {
		key := pending.KeyOf(m.Body) // audit events have it in the same place
		if idOf(key) == "" {
			return nil // it names no recording
		}
		if _, erased := r.Forgotten[event.HashKey(key)]; erased {
			r.count(func(c *Result) { c.Forgotten++ })
			return nil
		}
		return lanes.give(key, func(ctx context.Context) error { return take(ctx, key, m) })
	})
	return lanes.end(err)
}

// accepted takes one event: when it was accepted, and the copies of which the log tells nothing.
func (r *Rebuilder) accepted(ctx context.Context, key string, m scan.Message) error {
	r.count(func(c *Result) { c.Events++ })
	have, err := r.record(ctx, key)
	if err != nil {
		return err
	}
	if err := r.ask(ctx, key, &have); err != nil {
		return err
	}
	if have.Primary == nil && have.Backup == nil {
		return nil // pending: that is what the stream says of it, and Redis had nothing
	}
	return r.write(ctx, key, ledger.Record{RecordingID: idOf(key), ReceivedAt: receivedIn(m.Body)}, func(*Result) {})
}

// givenUp takes one dead letter. A copy that is younger has closed it.
func (r *Rebuilder) givenUp(ctx context.Context, key string, m scan.Message) error {
	l, _, _ := letters.Open(m)
	if l.Tier == "" || l.Reason == "" {
		return nil
	}
	have, err := r.record(ctx, key)
	if err != nil {
		return err
	}
	if s := have.Side(l.Tier); s != nil && !s.Timestamp.Before(l.DeadAt) {
		return nil
	}
	known := ledger.Record{RecordingID: idOf(key), Letters: map[tier.Tier]string{l.Tier: string(l.Reason)}}
	return r.write(ctx, key, known, func(c *Result) { c.Letters++ })
}

// record returns what the ledger has; in a dry run it has nothing.
func (r *Rebuilder) record(ctx context.Context, key string) (ledger.Record, error) {
	if r.Ledger == nil {
		return ledger.Record{}, nil
	}
	have, err := r.Ledger.Record(ctx, key)
	if errors.Is(err, ledger.ErrNoRecord) {
		err = nil
	}
	return have, err
}

// write writes what is known, unless this is a dry run.
func (r *Rebuilder) write(ctx context.Context, key string, known ledger.Record, counted func(*Result)) error {
	written := false
	if r.Ledger != nil {
		var err error
		if written, err = r.Ledger.Refill(ctx, key, known, true); err != nil {
			return err
		}
	}
	r.count(func(c *Result) {
		if counted(c); written {
			c.Written++
		}
	})
	return nil
}

func (r *Rebuilder) count(how func(*Result)) {
	r.mu.Lock()
	how(&r.result)
	now := r.result
	r.mu.Unlock()
	r.Step(now)
}

func (r *Rebuilder) now() Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.result
}

func idOf(key string) string {
	_, id, _ := event.SplitKey(key)
	return id
}
