// Package transfer brings one recording into one tier: Copier.Copy is the whole of its way.
//
// The order is what makes it safe. Nothing is visible before the committing call; both tiers agree on the digest before
// either commits; the commit is conditional on the key's absence; sidecar, audit event and ledger follow, and only then
// is the event acknowledged. So a crash anywhere is finished by the next delivery, which looks before it fetches.
package transfer

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

// Outcome says how a delivery ended well, as metrics and logs name it.
type Outcome string

// The outcomes of a copy. Those that end in a retry or a dead letter are the worker's.
const (
	Stored             Outcome = "stored"              // this delivery's commit created the object
	AlreadyPresent     Outcome = "already_present"     // a Stat, or a lost answer, found the expected bytes
	AcceptedUnverified Outcome = "accepted_unverified" // found in the right size; the store has no checksum for it
	Duplicate          Outcome = "duplicate"           // another is at it, or it was done before
	Forgotten          Outcome = "forgotten"           // erased on purpose: nothing was stored
)

// ErrHeld is returned when another worker holds the recording's claim in this tier: come again later, uncounted.
var ErrHeld = errors.New("another worker is at this recording")

// ErrAwaitsCopy is returned of a peer's recording whose sibling copy was made there, while nobody here knows what was agreed
// on: whatever the platform gives now could be other bytes. A redrive brings that copy; until then it waits, uncounted.
var ErrAwaitsCopy = errors.New("the other region made the sibling's copy, and what was agreed on is not known here: it waits for a redrive from that copy")

// Auditor publishes an audit event and returns once it is acknowledged.
type Auditor interface {
	Audit(ctx context.Context, a event.Audit) error
}

// Copier copies recordings into one tier. Its fields are set before the first Copy and not changed. It is safe for
// concurrent use.
type Copier struct {
	Tier      tier.Tier
	Source    mediasource.Source
	Sibling   mediasource.Source // of the copies that redrives carry a link to; nil: they are not used
	Store     objstore.Writer
	Ledger    ledger.Ledger
	Agreement digest.Agreement
	Audit     Auditor
	Buffers   *Buffers
	StreamMax int64         // up to this many bytes a recording may go in one request while it is read; 0: none does
	StreamFor time.Duration // a larger one may, too, if by the pace of late that takes no longer than this
	Read      func(n int)   // told of media bytes as they are read
	Now       func() time.Time
	Log       *zap.Logger

	// Elsewhere is set where the recordings are the peer region's: it reports whether the sibling's copy was made there, as far
	// as its log has come over. What is found of them in the store has mostly been brought to its end there, and is not again.
	Elsewhere func(ctx context.Context, job Job) (bool, error)

	pace pace
}

// Job is one delivery to be copied.
type Job struct {
	Event   event.Event
	Message ledger.Message // which message of which stream
	Stored  time.Time      // when its home's stream took it
	// Again says that the tier may have the recording already (a redelivery, a redrive): look before fetching.
	Again bool
}

// key is the recording's key in the agreement.
func (j Job) key() string { return event.HashKey(j.Event.Data.IdempotencyKey) }

// Result is a delivery that may be acknowledged.
type Result struct {
	Outcome Outcome
	Digest  digest.Digest
	// FromSibling says that the bytes were the sibling's copy: the source host served nothing.
	FromSibling bool
	// Record is what the ledger knows now; nil when it did not answer.
	Record *ledger.Record
}

// Copy brings the job's recording into the tier, or finds that it is there. With a nil error the delivery may be
// acknowledged: the tier's copy has been proven in this very call. Errors are faults; ErrHeld is among them.
func (c *Copier) Copy(ctx context.Context, job Job) (Result, error) {
	hold, err := c.claim(ctx, job)
	if err != nil {
		return Result{Outcome: Duplicate}, err
	}
	defer hold.end()
	ctx = hold.ctx

	if job.Again || hold.done {
		res, found, err := c.present(ctx, job, hold)
		if found || err != nil {
			return res, hold.cause(err)
		}
	} else if gone, err := c.forgotten(ctx, job); gone || err != nil {
		return Result{Outcome: Forgotten}, hold.cause(err)
	}
	if err := c.elsewhere(ctx, job); err != nil {
		return Result{}, hold.cause(err)
	}
	staged, held, err := c.obtain(ctx, job, hold)
	if err != nil {
		return Result{}, hold.cause(err)
	}
	defer staged.discard()
	if held.Forgotten {
		return Result{Outcome: Forgotten}, nil
	}
	if err := hold.check(ctx); err != nil {
		return Result{}, err
	}
	found, outcome, err := c.commit(ctx, staged, held.Entry)
	if err != nil {
		return Result{}, hold.cause(err)
	}
	staged.discard() // its memory; nothing else is left of it
	held, err = c.stillAgreed(ctx, job, held)
	if err != nil {
		return Result{}, hold.cause(err)
	}
	res, err := c.complete(ctx, job, hold, held, found, outcome)
	res.FromSibling = staged.sibling
	return res, hold.cause(err)
}

// complete does what follows a proven copy, in this order: tags, sidecar, audit event, ledger.
func (c *Copier) complete(ctx context.Context, job Job, hold *hold, held digest.Held, found objstore.Info, outcome Outcome) (Result, error) {
	if err := c.tag(ctx, held, outcome); err != nil {
		return Result{}, err
	}
	if err := c.writeSidecar(ctx, job, held); err != nil {
		return Result{}, err
	}
	return c.report(ctx, job, hold, held, found, outcome)
}

// report tells the log, and then the ledger, of a copy that is whole.
func (c *Copier) report(ctx context.Context, job Job, hold *hold, held digest.Held, found objstore.Info, outcome Outcome) (Result, error) {
	found.Modified = c.stored(found, outcome)
	if err := c.audit(ctx, job, held.Digest, found, outcome); err != nil {
		return Result{}, err
	}
	record := hold.finish(ctx, ledger.Copy{
		RecordingID: job.Event.Data.RecordingID, ReceivedAt: job.Event.Data.ReceivedAt, SHA256: held.SHA256, Size: held.Size,
		Stored: ledger.Stored{Bucket: c.Store.Bucket(), Key: held.ObjectKey, ETag: found.ETag, VersionID: found.VersionID, Timestamp: found.Modified},
	})
	return Result{Outcome: outcome, Digest: held.Digest, Record: record}, nil
}

// stored is when the object came to be: now, if this very copy made it (a store's own time has whole seconds and another
// clock), else what the store says.
func (c *Copier) stored(found objstore.Info, outcome Outcome) time.Time {
	if outcome == Stored || found.Modified.IsZero() {
		return c.Now().UTC()
	}
	return found.Modified.UTC()
}

// audit reports the copy to the compliance log. A duplicate is reported as what was found: already present. What was stored
// has the same time there as in the ledger, which is filled again from the log after it was lost.
func (c *Copier) audit(ctx context.Context, job Job, d digest.Digest, found objstore.Info, outcome Outcome) error {
	kind := event.AuditKind(outcome)
	if outcome == Duplicate {
		kind = event.AuditAlreadyPresent
	}
	at := c.Now()
	if outcome == Stored {
		at = found.Modified
	}
	return c.Audit.Audit(ctx, event.Audit{
		Kind: kind, Tier: c.Tier.String(), Time: at,
		MsgID: event.DeliveryID(kind, c.Tier.String(), job.Message.Stream, job.Message.Sequence),
		Data: event.AuditData{
			Tier: c.Tier.String(), IdempotencyKey: job.Event.Data.IdempotencyKey, ObjectKey: job.Event.Data.ObjectKey, Bucket: c.Store.Bucket(),
			ETag: found.ETag, VersionID: found.VersionID, SHA256: d.SHA256, CRC64NVME: digest.EncodeCRC64(d.CRC64), Size: &d.Size, Reason: job.Event.Data.Reason,
		},
	})
}

// errOtherBytes says that the bytes at hand are not those that the tiers agreed on, nor those that the sibling has. The
// sibling's copy may be.
var errOtherBytes = errors.New("the source gave other bytes than those that were agreed on")

// conflict is the fault of bytes or an event that contradict what is agreed or stored.
func conflict(part fault.Part, op string, text string) error {
	return fault.New(fault.Conflict, part, op, errors.New(text))
}
