package transfer

import (
	"bytes"
	"context"
	"errors"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// commit creates the object as agreed and proves it: by the store's own answer where that holds the whole-object
// checksum, else by a Stat.
func (c *Copier) commit(ctx context.Context, s *staged, agreed digest.Entry) (objstore.Info, Outcome, error) {
	side, err := event.ParseSidecar(agreed.Sidecar)
	if err != nil {
		return objstore.Info{}, "", conflict(fault.Agreement, "read the agreed sidecar", fault.Text(err))
	}
	info, err := s.commit(ctx, agreed.Digest, objstore.Options{ContentType: side.ContentType, Tags: side.ObjectTags()})
	if err != nil && !errors.Is(err, objstore.ErrUnknown) {
		return objstore.Info{}, "", err
	}
	if err == nil && info.Same(agreed.Digest) {
		return info, Stored, nil
	}
	outcome := AlreadyPresent
	if err == nil {
		outcome = Stored
	}
	return c.prove(ctx, agreed, outcome)
}

// prove compares the visible object with what was agreed on. Absent is worth a new attempt with a new upload.
func (c *Copier) prove(ctx context.Context, agreed digest.Entry, outcome Outcome) (objstore.Info, Outcome, error) {
	info, err := c.Store.Stat(ctx, agreed.ObjectKey)
	switch {
	case errors.Is(err, objstore.ErrNotExist):
		return info, "", fault.New(fault.Transient, fault.Store, "commit "+agreed.ObjectKey, errors.New("nothing is there after the commit was refused or its answer lost"))
	case err != nil:
		return info, "", err
	}
	outcome, err = judge(info, agreed, outcome)
	return info, outcome, err
}

// judge says what an object found at the agreed key is.
func judge(info objstore.Info, agreed digest.Entry, same Outcome) (Outcome, error) {
	const op = "compare the stored object"
	switch {
	case info.Same(agreed.Digest):
		return same, nil
	case info.Size != agreed.Size:
		return "", conflict(fault.Store, op, "an object of that key and another size is there")
	case !info.HasCRC64:
		return AcceptedUnverified, nil
	}
	return "", conflict(fault.Store, op, "an object of that key with other bytes is there")
}

// tag sets the agreed tags of an object that was found: an earlier attempt, or one whose answer was lost, may have ended
// between the commit and its tags. Once the sidecar is there, they have been set.
func (c *Copier) tag(ctx context.Context, held digest.Held, outcome Outcome) error {
	if outcome == Stored || outcome == Duplicate {
		return nil
	}
	side, err := event.ParseSidecar(held.Sidecar)
	if err != nil {
		return conflict(fault.Agreement, "read the agreed sidecar", fault.Text(err))
	}
	return c.Store.Tag(ctx, held.ObjectKey, side.ObjectTags())
}

// writeSidecar puts the agreed sidecar beside the media. One that is there already must be the same; one that names the
// same media but came from before the entry is adopted, since it is what the tier has.
func (c *Copier) writeSidecar(ctx context.Context, job Job, held digest.Held) error {
	key := event.SidecarKey(job.Event.Data.IdempotencyKey)
	_, err := c.Store.Put(ctx, key, held.Sidecar, digest.Of(held.Sidecar), objstore.Options{ContentType: "application/json"})
	if err == nil {
		return nil
	}
	if !errors.Is(err, objstore.ErrUnknown) {
		return err
	}
	there, err := c.sidecar(ctx, job)
	switch {
	case errors.Is(err, objstore.ErrNotExist):
		return fault.New(fault.Transient, fault.Store, "write "+key, errors.New("nothing is there after the write was refused or its answer lost"))
	case err != nil:
		return err
	case bytes.Equal(there.Sidecar, held.Sidecar):
		return nil
	case there.Digest == held.Digest && there.ObjectKey == held.ObjectKey:
		_, err = c.adopt(ctx, job, held, there)
		return err
	}
	return conflict(fault.Store, "write the sidecar", "another recording's sidecar is at its key")
}
