package transfer

import (
	"context"
	"errors"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// present looks whether the tier has the recording already, and if so finishes what an earlier delivery may have left
// undone. found is false when the bytes have to be fetched.
func (c *Copier) present(ctx context.Context, job Job, hold *hold) (res Result, found bool, err error) {
	held, err := c.expected(ctx, job)
	if errors.Is(err, digest.ErrNoEntry) {
		return Result{}, false, nil
	}
	if err != nil {
		return Result{}, false, err
	}
	if held.Forgotten {
		return Result{Outcome: Forgotten}, true, nil
	}
	if err := contradicts(job.Event, held.Entry); err != nil {
		return Result{}, false, err
	}
	info, err := c.Store.Stat(ctx, held.ObjectKey)
	if errors.Is(err, objstore.ErrNotExist) {
		return Result{}, false, nil
	}
	if err != nil {
		return Result{}, false, err
	}
	same := AlreadyPresent
	if hold.done && !job.Event.Redrive() {
		same = Duplicate
	}
	outcome, err := judge(info, held.Entry, same)
	if err != nil {
		return Result{}, false, err
	}
	if explained, err := c.explained(ctx, job, held); explained || err != nil {
		if err == nil {
			res, err = c.report(ctx, job, hold, held, info, outcome)
		}
		return res, err == nil, err
	}
	res, err = c.complete(ctx, job, hold, held, info, outcome)
	return res, err == nil, err
}

// explained reports whether a peer's recording has its sidecar here: then it has its tags, too.
func (c *Copier) explained(ctx context.Context, job Job, held digest.Held) (bool, error) {
	if c.Elsewhere == nil {
		return false, nil
	}
	there, err := c.sidecar(ctx, job)
	if errors.Is(err, objstore.ErrNotExist) {
		return false, nil
	}
	return err == nil && there.Digest == held.Digest && there.ObjectKey == held.ObjectKey, err
}

// elsewhere keeps a peer's recording from being agreed on anew where its sibling copy was made there: what was agreed on then
// has not come over, or was withdrawn as both copies were confirmed and this tier lost its own since. ErrAwaitsCopy.
func (c *Copier) elsewhere(ctx context.Context, job Job) error {
	if d := job.Event.Data; c.Elsewhere == nil || job.Event.Redrive() && (d.CopyFrom != nil || d.Sidecar != "") {
		return nil // or it says itself what was agreed on
	}
	_, err := c.Agreement.Get(ctx, job.key())
	switch {
	case err == nil:
		return nil // whoever fetches it now is held to that
	case !errors.Is(err, digest.ErrNoEntry):
		return unanswered(err)
	}
	made, err := c.Elsewhere(ctx, job)
	switch {
	case err != nil:
		return unanswered(err)
	case made:
		return fault.New(fault.Transient, fault.Sibling, "agree on the digest", ErrAwaitsCopy)
	}
	return nil
}

// expected returns what the tier must hold, as far as anybody knows: the digest entry, else the own sidecar, else the
// sibling's, where a redrive carries it. digest.ErrNoEntry: nobody does; only the bytes can tell.
func (c *Copier) expected(ctx context.Context, job Job) (digest.Held, error) {
	held, err := c.Agreement.Get(ctx, job.key())
	if err == nil {
		return held, nil
	}
	if !errors.Is(err, digest.ErrNoEntry) {
		return digest.Held{}, unanswered(err)
	}
	older, err := c.sidecar(ctx, job)
	if !errors.Is(err, objstore.ErrNotExist) {
		return digest.Held{Entry: older}, err
	}
	told, err := siblings(job.Event)
	if err == nil && len(told.Sidecar) == 0 {
		err = digest.ErrNoEntry
	}
	return digest.Held{Entry: told}, err
}

// Settle looks, without fetching anything, whether the tier has the job's recording after all; if so it finishes what
// may be undone, as Copy would, and found is true. It is asked before a delivery is given up: another attempt may have
// stored it. A fault of class Conflict says that the event contradicts what is agreed on or stored.
func (c *Copier) Settle(ctx context.Context, job Job) (res Result, found bool, err error) {
	return c.present(ctx, job, &hold{ctx: ctx, copier: c, job: job, closed: true})
}
