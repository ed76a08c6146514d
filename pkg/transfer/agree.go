package transfer

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// agree settles, before the commit, what both tiers store: the bytes just read, if nobody came before, with this event's
// metadata; else what stands, against which bytes and event are judged. No answer is an error: then there is no commit.
func (c *Copier) agree(ctx context.Context, job Job, d digest.Digest) (digest.Held, error) {
	held, err := c.Agreement.Get(ctx, job.key())
	if errors.Is(err, digest.ErrNoEntry) {
		var offer digest.Entry
		if offer, err = c.offer(ctx, job, d); err != nil {
			return digest.Held{}, err
		}
		held, err = c.Agreement.Agree(ctx, job.key(), offer)
	}
	if err != nil {
		return digest.Held{}, unanswered(err)
	}
	if held.Forgotten {
		return held, nil
	}
	if err := contradicts(job.Event, held.Entry); err != nil {
		return digest.Held{}, err
	}
	if held.Digest != d {
		return digest.Held{}, otherBytes()
	}
	return held, nil
}

// forgotten reports whether the recording was erased on purpose: then not even its media are fetched.
func (c *Copier) forgotten(ctx context.Context, job Job) (bool, error) {
	held, err := c.Agreement.Get(ctx, job.key())
	switch {
	case errors.Is(err, digest.ErrNoEntry):
		return false, nil
	case err != nil:
		return false, unanswered(err)
	}
	return held.Forgotten, nil
}

func otherBytes() error {
	return fault.New(fault.Conflict, fault.Source, "agree on the digest", errOtherBytes)
}

// offer is the entry that this tier would have made where there is none. Entries are purged when both tiers are confirmed,
// so a sidecar from before, if the own tier has one, is the agreement. It is looked for before the entry is made: were it
// looked for after, a crash in between, or a sibling that is quicker, would let a wrong entry stand. After it comes what a
// redrive says of the sibling's copy: other bytes are not offered.
func (c *Copier) offer(ctx context.Context, job Job, d digest.Digest) (digest.Entry, error) {
	older, err := c.sidecar(ctx, job)
	if err == nil {
		c.Log.Info("an older sidecar is what was agreed on", zap.String("tier", c.Tier.String()), zap.String("recording_id", job.Event.Data.IdempotencyKey))
		return older, nil
	}
	if !errors.Is(err, objstore.ErrNotExist) {
		return digest.Entry{}, err
	}
	known, err := siblings(job.Event)
	switch {
	case err != nil:
		return digest.Entry{}, err
	case known.Known() && known.Digest != d:
		return digest.Entry{}, otherBytes()
	case len(known.Sidecar) > 0:
		return known, nil
	}
	entry, err := event.NewEntry(job.Event, d)
	if err != nil {
		return digest.Entry{}, fault.New(fault.Permanent, fault.Event, "make the digest entry", err)
	}
	return entry, nil
}

// siblings is what a redrive says of the sibling's copy: its digest, and its sidecar where it carries one, which is then
// taken over byte for byte. The zero entry where it says nothing; a fault where it contradicts itself.
func siblings(e event.Event) (digest.Entry, error) {
	const op = "read the redrive"
	d := e.Data
	if !e.Redrive() || d.CopyFrom == nil && d.Sidecar == "" {
		return digest.Entry{}, nil
	}
	copied, err := copyDigest(d.CopyFrom)
	if err != nil || d.Sidecar == "" {
		return digest.Entry{Digest: copied, ObjectKey: d.ObjectKey}, err
	}
	var told digest.Digest
	side, err := event.ParseSidecar([]byte(d.Sidecar))
	if err == nil {
		told, err = side.Digest()
	}
	switch {
	case err != nil:
		return digest.Entry{}, fault.New(fault.Permanent, fault.Event, op, err)
	case side.IdempotencyKey != d.IdempotencyKey || side.ObjectKey != d.ObjectKey || d.CopyFrom != nil && told != copied:
		return digest.Entry{}, conflict(fault.Event, op, "its sidecar is not that of the recording and its copy")
	}
	return digest.Entry{Digest: told, ObjectKey: d.ObjectKey, Sidecar: []byte(d.Sidecar)}, nil
}

// copyDigest is the digest of the sibling's copy; zero where there is none.
func copyDigest(from *event.CopyFrom) (digest.Digest, error) {
	if from == nil {
		return digest.Digest{}, nil
	}
	crc, err := digest.DecodeCRC64(from.CRC64NVME)
	if err != nil {
		return digest.Digest{}, fault.New(fault.Permanent, fault.Event, "read the redrive", err)
	}
	return digest.Digest{SHA256: from.SHA256, CRC64: crc, Size: from.Size}, nil
}

// adopt sets the entry to the older one, by its revision.
func (c *Copier) adopt(ctx context.Context, job Job, held digest.Held, older digest.Entry) (digest.Held, error) {
	c.Log.Info("an older sidecar is what was agreed on", zap.String("tier", c.Tier.String()), zap.String("recording_id", job.Event.Data.IdempotencyKey))
	held, err := c.Agreement.Replace(ctx, job.key(), held.Revision, older)
	if err != nil {
		return digest.Held{}, unanswered(err)
	}
	return held, nil
}

// sidecar reads the own tier's sidecar as the entry that it stands for. objstore.ErrNotExist.
func (c *Copier) sidecar(ctx context.Context, job Job) (digest.Entry, error) {
	b, err := c.Store.ReadSidecar(ctx, event.SidecarKey(job.Event.Data.IdempotencyKey))
	if err != nil {
		return digest.Entry{}, err
	}
	parsed, err := event.ParseSidecar(b)
	if err != nil {
		return digest.Entry{}, conflict(fault.Store, "read the sidecar", "the object at its key is no sidecar of ours: "+fault.Text(err))
	}
	d, err := parsed.Digest()
	if err != nil {
		return digest.Entry{}, conflict(fault.Store, "read the sidecar", fault.Text(err))
	}
	return digest.Entry{Digest: d, ObjectKey: parsed.ObjectKey, Sidecar: b}, nil
}

// stillAgreed reads the agreement again after the commit. Where it changed meanwhile (this worker was frozen, and the
// reconciler withdrew the entry) the copy is good only if the same was agreed on again; else it is evidence, audited.
func (c *Copier) stillAgreed(ctx context.Context, job Job, held digest.Held) (digest.Held, error) {
	now, err := c.Agreement.Confirm(ctx, job.key(), held)
	if errors.Is(err, digest.ErrNoEntry) {
		now, err = c.Agreement.Agree(ctx, job.key(), held.Entry)
	}
	if err != nil {
		return digest.Held{}, unanswered(err)
	}
	if now.Digest == held.Digest && now.ObjectKey == held.ObjectKey && !now.Forgotten {
		return now, nil
	}
	if err := c.audit(ctx, job, held.Digest, objstore.Info{}, Outcome(event.AuditConflict)); err != nil {
		return digest.Held{}, err
	}
	return digest.Held{}, conflict(fault.Agreement, "confirm the agreement", "it changed while the object was being committed")
}

// contradicts holds the event against what was agreed on: format (by the object key), size, sha256.
func contradicts(e event.Event, agreed digest.Entry) error {
	if field := e.Contradiction(agreed); field != "" {
		return conflict(fault.Event, "hold the event against the agreement", "the event names another "+field)
	}
	return nil
}

// unanswered is the fault of an agreement that could not be asked. An entry that the server never takes is the event's
// own fault; ingress refuses such events.
func unanswered(err error) error {
	if errors.Is(err, digest.ErrTooLarge) {
		return fault.New(fault.Permanent, fault.Event, "agree on the digest", err)
	}
	return fault.New(fault.Unavailable, fault.Agreement, "agree on the digest", err)
}
