package dlq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
	"github.com/twinreel/twinreel/reconciler/internal/evidence"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
	"github.com/twinreel/twinreel/reconciler/internal/redrive"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// Reasons that redrives and audit events carry.
const (
	reasonSibling    = "dead_letter" // the sibling has what the tier gave up
	reasonAgreeAnew  = "agree_anew"  // nobody could store what was agreed on
	reasonSuperseded = "superseded"  // a later letter of the same event replaces it
	by               = "reconciler"
)

// markerLife is how long the bucket keeps the mark of a withdrawn entry.
const markerLife = time.Hour

// judge looks at one case and does what follows from it. again is when it has to be looked at anew at the latest.
func (f *Follower) judge(ctx context.Context, n name) (again time.Time, err error) {
	list, err := f.read(ctx, n)
	if err != nil || len(list) == 0 {
		return time.Time{}, err
	}
	e, err := f.gather(ctx, n, list[len(list)-1].event.Data.ObjectKey)
	if err != nil {
		return time.Time{}, err
	}
	step, about := plan(e, n.tier, list, f.Now())
	f.note(n, step)
	switch {
	case step == resolve && e.Forgotten():
		return time.Time{}, f.remove(ctx, n, about, erasure.ReasonForgotten)
	case step == resolve:
		return time.Time{}, f.remove(ctx, n, about, "")
	}
	if step != wait {
		if again, err = f.send(ctx, n, step, e, about[len(about)-1]); err != nil {
			return again, err
		}
	}
	return again, f.remove(ctx, n, superseded(about), reasonSuperseded)
}

// note logs what is to be done about a case when that changes.
func (f *Follower) note(n name, s step) {
	f.mu.Lock()
	c := f.cases[n]
	changed := c != nil && c.last != s
	if changed {
		c.last = s
	}
	f.mu.Unlock()
	if changed && s == wait {
		f.Log.Info("a dead letter waits: its sibling has no verified copy", zap.String("tier", n.tier.String()), zap.String("recording_id", n.key))
	}
}

// read returns the case's letters with their events. Those that are gone were dealt with by somebody else.
func (f *Follower) read(ctx context.Context, n name) (out []held, err error) {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	stream, err := f.JS.Stream(ctx, queue.DeadLetters)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	list := slices.Clone(f.cases[n].letters)
	f.mu.Unlock()
	for _, l := range list {
		m, err := stream.GetMsg(ctx, l.sequence)
		if isAbsent(err) {
			f.forget(n, l.sequence)
			continue
		}
		if err != nil {
			return nil, err
		}
		_, q, err := letters.Open(scan.Message{Subject: m.Subject, Sequence: m.Sequence, Stored: m.Time, Header: m.Header, Body: m.Data})
		if err != nil {
			continue // it cannot be: it was read before
		}
		e, err := event.Parse(m.Data)
		if err != nil {
			continue
		}
		out = append(out, held{letter: l, event: e, trace: q.Traceparent, body: m.Data})
	}
	return out, nil
}

// remove takes letters away, each once the log has it, and keeps the record in step.
func (f *Follower) remove(ctx context.Context, n name, list []held, why string) error {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	for _, h := range list {
		err := f.Publisher.Audit(ctx, event.Audit{
			Kind: event.AuditResolved, Tier: n.tier.String(), Time: f.Now(),
			MsgID: event.DeliveryID(event.AuditResolved, n.tier.String(), queue.DeadLetters, h.sequence),
			Data: event.AuditData{
				Tier: n.tier.String(), IdempotencyKey: n.key, ObjectKey: h.event.Data.ObjectKey, Reason: cmp.Or(why, string(h.reason)), By: by,
			},
		})
		if err != nil {
			return err
		}
		away := letters.Remove
		if why == erasure.ReasonForgotten {
			away = letters.Erase
		}
		if err := away(ctx, f.JS, h.sequence); err != nil {
			return fault.New(fault.Unavailable, fault.Queue, "remove a dead letter", err)
		}
		f.forget(n, h.sequence)
		if why != reasonSuperseded {
			f.Log.Info("a dead letter is resolved", zap.String("tier", n.tier.String()), zap.String("recording_id", n.key),
				zap.Uint64("sequence", h.sequence), zap.String("reason", string(h.reason)))
		}
	}
	if len(list) > 0 {
		f.keepRecord(ctx, n)
	}
	return nil
}

// keepRecord notes in the ledger what letter the recording has left. The letters are the truth, so a ledger that is away
// is no failure.
func (f *Follower) keepRecord(ctx context.Context, n name) {
	f.mu.Lock()
	left := ""
	if c := f.cases[n]; c != nil && len(c.letters) > 0 {
		left = string(c.letters[len(c.letters)-1].reason)
	}
	f.mu.Unlock()
	if err := f.Ledger.Letter(ctx, n.key, n.tier, left); err != nil {
		f.Log.Debug("a record is left as it is", zap.String("recording_id", n.key), zap.String("error", fault.Text(err)))
	}
}

// forget takes one letter out of its case.
func (f *Follower) forget(n name, seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.cases[n]; c != nil {
		c.letters = slices.DeleteFunc(c.letters, func(l letter) bool { return l.sequence == seq })
	}
}

// send sends the letter's event to its tier again, unless one is open, or the last was sent too short a while ago.
func (f *Follower) send(ctx context.Context, n name, s step, e *evidence.Evidence, h held) (again time.Time, err error) {
	f.mu.Lock()
	after, open := f.redrives.open(n)
	rested := f.cases[n].rested
	f.mu.Unlock()
	if open {
		return time.Time{}, nil
	}
	if f.Now().Before(rested) {
		return rested, nil
	}
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	reason, from := reasonAgreeAnew, redrive.Sibling{}
	switch s {
	case copyOver:
		reason = reasonSibling
		if from, err = f.copy(ctx, n, e); err != nil {
			return time.Time{}, err
		}
	case withdraw:
		if done, err := f.withdraw(ctx, n, e, h); err != nil || !done {
			return time.Time{}, err
		}
	}
	body, err := redrive.Of(h.body, reason, from)
	if err != nil {
		return time.Time{}, err
	}
	// Two leaders that plan the same thing name it the same, and the stream takes it once.
	id := fmt.Sprintf("%s/%s/%d/after/%d", n.tier, queue.DeadLetters, h.sequence, after)
	if _, err := f.Publisher.Redrive(ctx, n.tier, "redrive/"+id, h.trace, body); err != nil {
		return time.Time{}, err
	}
	f.wait(n)
	f.Log.Info("sent again", zap.String("tier", n.tier.String()), zap.String("recording_id", n.key), zap.String("reason", reason),
		zap.Uint64("dead_letter", h.sequence))
	return time.Time{}, f.Publisher.Audit(ctx, event.Audit{
		Kind: event.AuditRedriven, Tier: n.tier.String(), Time: f.Now(), MsgID: string(event.AuditRedriven) + "/" + id,
		Data: event.AuditData{Tier: n.tier.String(), IdempotencyKey: n.key, ObjectKey: h.event.Data.ObjectKey, Reason: reason, By: by},
	})
}

// wait notes that a case was sent again: it is looked at soon, and not sent again for a while.
func (f *Follower) wait(n name) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.cases[n]
	if c == nil {
		return
	}
	c.redrives++
	c.looks = 0
	c.rested = f.Now().Add(f.Redrive.Delay(c.redrives))
}

// copy is what the sibling can give: a link to its copy, and where the digest entry is gone by now, its sidecar.
func (f *Follower) copy(ctx context.Context, n name, e *evidence.Evidence) (redrive.Sibling, error) {
	var out redrive.Sibling
	var err error
	if e.Entry == nil {
		out.Sidecar = e.Agreed().Sidecar
	}
	out.CopyFrom, err = redrive.Link(ctx, f.Stores[n.tier.Sibling()], *e.Agreed())
	return out, err
}

// gather asks for all that is evidence of the case.
func (f *Follower) gather(ctx context.Context, n name, objectKey string) (*evidence.Evidence, error) {
	return evidence.Source{Digests: f.Digests, Stores: f.Stores}.GatherFor(ctx, n.tier, n.key, objectKey)
}

// withdraw purges the digest entry on which nobody could agree, at the revision that was judged, while both claims are
// ours, so that nobody is at work: then all is looked at once more. Without an answer of the ledger it is not done.
func (f *Follower) withdraw(ctx context.Context, n name, judged *evidence.Evidence, h held) (done bool, err error) {
	free, ours, err := f.claimBoth(ctx, n.key)
	defer free()
	if err != nil || !ours {
		return false, err
	}
	now, err := f.gather(ctx, n, h.event.Data.ObjectKey)
	if err != nil {
		return false, err
	}
	if s, _ := plan(now, n.tier, []held{h}, f.Now()); s != withdraw || now.Entry.Revision != judged.Entry.Revision {
		return false, nil
	}
	err = f.Digests.Purge(ctx, event.HashKey(n.key), jetstream.LastRevision(now.Entry.Revision), jetstream.PurgeTTL(markerLife))
	if err != nil {
		return false, fault.New(fault.Unavailable, fault.Agreement, "withdraw the digest entry", err)
	}
	f.Log.Warn("a digest entry is withdrawn: nobody could store what was agreed on", zap.String("recording_id", n.key),
		zap.Uint64("revision", now.Entry.Revision))
	return true, nil
}

// claimBoth takes the recording's claims in both tiers, so that no worker is at it nor begins. A claim that is done holds
// nobody back. free gives them back, whatever came of it; else they lapse.
func (f *Follower) claimBoth(ctx context.Context, key string) (free func(), ours bool, err error) {
	var leases []ledger.Lease
	free = func() {
		for _, l := range leases {
			_ = l.Release(context.WithoutCancel(ctx), false)
		}
	}
	for _, t := range tier.All() {
		c, err := f.Ledger.Claim(ctx, key, t)
		if err != nil || c.State == ledger.Held {
			return free, false, err
		}
		if c.State == ledger.Claimed {
			leases = append(leases, c.Lease)
		}
	}
	return free, true, nil
}

// isAbsent reports that a message is gone.
func isAbsent(err error) bool { return errors.Is(err, jetstream.ErrMsgNotFound) }
