package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/copies"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
)

// storePatience is how long a store may take to tell what it has of one recording.
const storePatience = 5 * time.Second

// ErrUnanswered is returned for a recording that nobody knows who answered, when not all did.
var ErrUnanswered = errors.New("unknown to all that answered, but not all did")

// Finder finds what is known of one recording: the record in Redis, else one that is put together from the streams and
// the stores.
type Finder struct {
	Record  func(ctx context.Context, key string) (ledger.Record, error)  // ledger.ErrNoRecord
	Stream  func(ctx context.Context, key string) (Recording, error)      // from RECORDINGS; ErrUnknown
	Letters func(ctx context.Context, key string) ([]letters.Full, error) // of RECORDINGS_DLQ
	Stores  map[tier.Tier]objstore.Reader                                 // those that are asked
	Aside   func(what string, err error)                                  // told of who knows nothing (nil), or did not answer

	Erased      func(ctx context.Context, key string) (erasure.Tombstone, error) // erasure.ErrNone; nil: not asked
	Quarantined func(ctx context.Context, key string) (quarantine.Record, error) // quarantine.ErrNone; nil: not asked
	Log         func(ctx context.Context, key string) ([]Entry, error)           // what the audit log tells, also with an error; nil: not asked
}

// Find returns the recording. ErrUnknown only when all have answered that they do not know it; else ErrUnanswered, with
// the causes.
func (f *Finder) Find(ctx context.Context, key string) (Recording, error) {
	r, err := f.find(ctx, key)
	if err != nil {
		r = Recording{Record: ledger.Record{Status: ledger.Pending}, Timeline: []Entry{}}
	}
	f.judge(ctx, key, &r)
	f.tellLog(ctx, key, &r)
	if err != nil && r.IdempotencyKey == "" {
		return Recording{}, err
	}
	r.sort()
	return r, nil
}

// find puts the record together, without what only the reconciler's own buckets and the audit log know.
func (f *Finder) find(ctx context.Context, key string) (Recording, error) {
	r, err := f.Record(ctx, key)
	if err == nil {
		out := FromRecord(r)
		if err := f.addLetters(ctx, key, &out); err != nil {
			f.Aside("RECORDINGS_DLQ", err)
		}
		return out, nil
	}
	silent := f.silent(nil, "Redis", err, ledger.ErrNoRecord)
	out, err := f.Stream(ctx, key)
	if err != nil {
		silent = f.silent(silent, "RECORDINGS", err, ErrUnknown)
		out = Recording{Timeline: []Entry{}}
	}
	if err := f.addCopies(ctx, key, &out); err != nil {
		silent = f.silent(silent, "the stores", err)
	}
	if err := f.addLetters(ctx, key, &out); err != nil {
		silent = f.silent(silent, "RECORDINGS_DLQ", err)
	}
	switch {
	case out.IdempotencyKey != "":
		out.Settle()
		return out, nil
	case len(silent) > 0:
		return Recording{}, fmt.Errorf("%w: %w", ErrUnanswered, errors.Join(silent...))
	}
	return Recording{}, ErrUnknown
}

// silent tells of one that did not answer, and adds it to the others. What says that nothing is known is an answer.
func (f *Finder) silent(list []error, who string, err error, answers ...error) []error {
	for _, a := range answers {
		if errors.Is(err, a) {
			f.Aside(who, nil)
			return list
		}
	}
	f.Aside(who, err)
	return append(list, fmt.Errorf("%s: %s", who, fault.Text(err)))
}

// named gives the recording its names.
func (r *Recording) named(key string) {
	if _, id, err := event.SplitKey(key); err == nil {
		r.IdempotencyKey, r.RecordingID = key, id
	}
}

// side is what one store tells.
type side struct {
	sidecar *event.Sidecar
	entry   *digest.Entry
	object  *objstore.Info
	err     error
}

// addCopies adds what the stores hold: in each the object that a sidecar names, of that size and checksum.
func (f *Finder) addCopies(ctx context.Context, key string, r *Recording) error {
	sides := f.each(ctx, func(ctx context.Context, store objstore.Reader, s *side) {
		s.sidecar, s.entry, s.err = copies.Sidecar(ctx, store, key)
	}, map[tier.Tier]*side{tier.Primary: {}, tier.Backup: {}})
	var known *side
	for _, t := range tier.All() {
		if s := sides[t]; s.entry != nil && known == nil {
			known = s
		}
	}
	if known != nil {
		r.named(key)
		r.SHA256, r.Size = known.entry.SHA256, known.entry.Size
		if len(r.Timeline) == 0 && !known.sidecar.ReceivedAt.IsZero() {
			r.add(known.sidecar.ReceivedAt, event.AuditAll, "received")
		}
		f.each(ctx, func(ctx context.Context, store objstore.Reader, s *side) {
			if s.err == nil {
				s.object, s.err = copies.Object(ctx, store, known.entry.ObjectKey)
			}
		}, sides)
	}
	for _, t := range tier.All() {
		if o := sides[t].object; o != nil && o.Same(known.entry.Digest) {
			r.SetSide(t, &ledger.Stored{Bucket: f.Stores[t].Bucket(), Key: o.Key, ETag: o.ETag, VersionID: o.VersionID, Timestamp: o.Modified.UTC()})
			r.tell(event.AuditStored, o.Modified, t.String(), "stored")
		}
	}
	return errors.Join(sides[tier.Primary].err, sides[tier.Backup].err)
}

// each asks the stores side by side: one that is away does not keep the other from answering.
func (f *Finder) each(ctx context.Context, ask func(context.Context, objstore.Reader, *side), sides map[tier.Tier]*side) map[tier.Tier]*side {
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	var all sync.WaitGroup
	for t, store := range f.Stores {
		all.Go(func() { ask(ctx, store, sides[t]) })
	}
	all.Wait()
	return sides
}

// addLetters adds what tiers gave up. A letter stands in the timeline instead of what the ledger has noted of it, without a
// time.
func (f *Finder) addLetters(ctx context.Context, key string, r *Recording) error {
	list, err := f.Letters(ctx, key)
	if err != nil {
		return err
	}
	r.Timeline = slices.DeleteFunc(r.Timeline, func(e Entry) bool {
		return e.kind == event.AuditDead && slices.ContainsFunc(list, func(l letters.Full) bool { return l.Tier.String() == e.Tier })
	})
	r.Open = letters.Standing(list)
	for _, l := range list {
		r.named(key)
		if r.Letters == nil {
			r.Letters = map[tier.Tier]string{}
		}
		r.Letters[l.Tier] = string(l.Reason)
		r.tell(event.AuditDead, l.DeadAt, l.Tier.String(), "dead letter: "+string(l.Reason))
	}
	return nil
}

// FromEvent puts the record of a recording together from one event of RECORDINGS, without what the stores tell.
func FromEvent(key string, m Message) Recording {
	out := Recording{Timeline: []Entry{}}
	out.take(key, m)
	return out
}
