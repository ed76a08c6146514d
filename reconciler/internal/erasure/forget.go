package erasure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
)

// ReasonForgotten is the audited reason of a dead letter that is removed because its recording was forgotten.
const ReasonForgotten = "forgotten"

// Auditor publishes an audit event and returns once it is acknowledged.
type Auditor interface {
	Audit(ctx context.Context, a event.Audit) error
}

// Ledger is the part of the ledger that an erasure needs.
type Ledger interface {
	// Forget removes all that the ledger holds of a recording, claims included: a worker that has one loses it.
	Forget(ctx context.Context, id string) error
}

// Eraser has recordings forgotten. Its fields are set before and not changed.
type Eraser struct {
	JS     jetstream.JetStream
	Stones *Stones
	Audit  Auditor
	Ledger Ledger                        // nil: it is not asked
	Stores map[tier.Tier]objstore.Reader // those that are looked into
	By     string
	Now    func() time.Time
}

// Request asks for a recording to be forgotten.
type Request struct {
	Key    string // idempotency key
	Case   string // whose request it follows, such as a ticket's number; never a person's name
	Reason string
}

// Report is what came of a request.
type Report struct {
	IdempotencyKey string    `json:"idempotencyKey"`
	Tombstone      Tombstone `json:"tombstone"`   // the first, where it was forgotten before
	Before         bool      `json:"before"`      // it was forgotten before
	Letters        int       `json:"letters"`     // dead letters removed
	Ledger         string    `json:"ledger"`      // "cleared", or why Redis was not
	Copies         []Copy    `json:"copies"`      // still there: never nil
	Unseen         []Unseen  `json:"unseen"`      // stores that could not be looked into: never nil
	EventsUntil    time.Time `json:"eventsUntil"` // when the last of its events has left RECORDINGS, whose messages nobody can delete
}

// Cleared is Report.Ledger where Redis has nothing of the recording any more.
const Cleared = "cleared"

// Forget has the recording forgotten, whether or not anybody knows it. At an error it may have got anywhere: it is to be
// repeated, and goes on where it was. What was done is in this order, so that a crash between any two is made good by a
// repetition, and after the first also by Refill alone:
//
//  1. the audit event, from which the rest is made again. It is first so that nothing is ever forgotten of which the log
//     does not tell; that it is in the log before it is so does no harm, for Refill makes it so.
//  2. the tombstone: no operator's command and no run of the reconciler brings the recording back from here on.
//  3. the digest entry: no worker begins to store it, and who was at it finds out before he acknowledges.
//  4. what Redis holds: a worker that has the claim loses it, and ends before it commits. One that is past that point, and
//     whose copy is being committed, is what the look at the stores is for.
//  5. the letters. They come after 3, because a worker that gives up looks at the entry first, and then leaves none; and
//     after 4, which ends those that looked before.
//  6. the look at the stores: what is still there is told. Twinreel deletes nothing.
func (e *Eraser) Forget(ctx context.Context, q Request) (Report, error) {
	hash := event.HashKey(q.Key)
	out := Report{IdempotencyKey: q.Key, Ledger: Cleared, Copies: []Copy{}, Unseen: []Unseen{}}
	stone, err := e.Stones.Find(ctx, q.Key)
	if err != nil && !errors.Is(err, ErrNone) {
		return out, err
	}
	out.Before, out.Tombstone = err == nil, stone
	if !out.Before || stone.At.IsZero() {
		out.Tombstone = Tombstone{By: e.By, At: e.Now().UTC().Truncate(time.Second), Case: q.Case, Reason: q.Reason}
	}
	if err := e.audit(ctx, hash, q); err != nil {
		return out, fmt.Errorf("nothing was changed: %w", err)
	}
	if _, err := e.Stones.set(ctx, hash, out.Tombstone); err != nil {
		return out, err
	}
	before, _, err := e.Stones.forget(ctx, hash)
	if err != nil {
		return out, err
	}
	out.Ledger = e.clear(ctx, q.Key)
	if out.Letters, err = e.letters(ctx, q); err != nil {
		return out, err
	}
	if out.EventsUntil, err = e.eventsUntil(ctx); err != nil {
		return out, err
	}
	agreed := ""
	if before != nil {
		agreed = before.ObjectKey
	}
	e.look(ctx, q.Key, agreed, &out)
	return out, nil
}

// audit says that it is forgotten, once for each case.
func (e *Eraser) audit(ctx context.Context, hash string, q Request) error {
	return e.Audit.Audit(ctx, event.Audit{
		Kind: event.AuditForgotten, Tier: event.AuditAll, Time: e.Now(),
		MsgID: fmt.Sprintf("%s/%s/%s/%s", event.AuditForgotten, event.AuditAll, hash[:32], event.HashKey(q.Case)[:16]),
		Data:  event.AuditData{IdempotencyKey: q.Key, Reason: q.Reason, Case: q.Case, By: e.By},
	})
}

// clear removes what the ledger holds, and says what came of it. Its keys lapse by themselves.
func (e *Eraser) clear(ctx context.Context, key string) string {
	if e.Ledger == nil {
		return "not asked"
	}
	if err := e.Ledger.Forget(ctx, key); err != nil {
		return fault.Text(err)
	}
	return Cleared
}

// letters removes the recording's dead letters, each once the log has it: they hold who took part.
func (e *Eraser) letters(ctx context.Context, q Request) (n int, err error) {
	list, err := letters.Find(ctx, e.JS, q.Key)
	if err != nil {
		return 0, err
	}
	for _, l := range list {
		err := e.Audit.Audit(ctx, event.Audit{
			Kind: event.AuditDiscarded, Tier: l.Tier.String(), Time: e.Now(),
			MsgID: event.DeliveryID(event.AuditDiscarded, l.Tier.String(), queue.DeadLetters, l.Sequence),
			Data: event.AuditData{
				Tier: l.Tier.String(), IdempotencyKey: q.Key, ObjectKey: l.ObjectKey, Reason: ReasonForgotten, Case: q.Case, By: e.By,
			},
		})
		if err != nil {
			return n, err
		}
		if err := letters.Erase(ctx, e.JS, l.Sequence); err != nil {
			return n, e.Stones.unanswered(fmt.Sprintf("remove dead letter %d", l.Sequence), err)
		}
		n++
	}
	return n, nil
}

// eventsUntil is when what RECORDINGS holds now has left it.
func (e *Eraser) eventsUntil(ctx context.Context) (time.Time, error) {
	stream, err := e.JS.Stream(ctx, queue.Recordings)
	if err != nil {
		return time.Time{}, e.Stones.unanswered("read the stream "+queue.Recordings, err)
	}
	return e.Now().Add(stream.CachedInfo().Config.MaxAge).UTC().Truncate(time.Second), nil
}
