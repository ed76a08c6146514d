// Package repair carries a plan out: it sends recordings to a tier again, and notes as evidence what nobody may mend by
// overwriting. The workers write; repair never does.
//
// Before anything is sent, what the plan rests on is looked at once more, so that a plan may be old, be carried out twice,
// or by two at once: what has landed meanwhile is not sent, and one event is sent once, because its message ID is made from
// what the plan knew.
package repair

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/evidence"
	"github.com/twinreel/twinreel/reconciler/internal/plan"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
	"github.com/twinreel/twinreel/reconciler/internal/redrive"
)

// Reason is data.reason of what repair sends again, and of its audit events.
const Reason = "repair"

// actTimeout is for one step.
const actTimeout = 30 * time.Second

// Repairer carries plans out. Its fields are set before and not changed.
type Repairer struct {
	JS        jetstream.JetStream
	Publisher *queue.Publisher
	Source    evidence.Source
	Book      *quarantine.Book
	// Erased reports whether a recording was forgotten on purpose.
	Erased   func(ctx context.Context, key string) (bool, error)
	Rate     *rate.Limiter // of events sent again
	By       string        // who has it done, for the audit log
	Ahead    int           // events that may wait in a tier before a copy whose link lapses
	Now      func() time.Time
	Pause    func(context.Context, time.Duration) // waits
	Log      *zap.Logger
	Progress func(stage string, done, total int64)
}

// Result is what came of a plan.
type Result struct {
	Sent    int64  // events sent again
	Landed  int64  // that were no longer needed
	Noted   int64  // findings that are new in quarantine
	Failed  int64  // events that could not be sent
	Held    int64  // copies that a tier's backlog left to the next run
	Unasked string // why a tier could not be asked how long its backlog is; "": it is too long
	Why     string // the last of them
	Refused bool   // the cap held the repairs back
}

// atOnce is how many events are looked at and sent side by side: how fast that goes is for Rate to say, not for how far away
// the stores are.
const atOnce = 16

// work is a plan while it is carried out.
type work struct {
	all   sync.WaitGroup
	slots chan struct{}
	gates map[tier.Tier]*gate
	stop  context.CancelFunc

	mu  sync.Mutex
	out Result
	err error // the first that ends it
}

// Carry carries the plan out, in its order as far as events side by side have one. Where it would send more than the cap
// allows it sends nothing, unless approved is its ID.
func (r *Repairer) Carry(ctx context.Context, p *plan.Plan, approved string) (Result, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	w := &work{slots: make(chan struct{}, atOnce), gates: r.gates(), stop: stop}
	w.out.Refused = p.Above() && approved != p.ID.String()
	err := r.carry(ctx, p, w)
	w.all.Wait()
	if w.err != nil {
		err = w.err
	}
	return w.out, err
}

func (r *Repairer) carry(ctx context.Context, p *plan.Plan, w *work) error {
	refused := w.out.Refused
	for f, err := range p.Findings() {
		if err != nil {
			return err
		}
		switch {
		case f.Action.Sends() && !refused:
			err = r.send(ctx, f, w)
		case f.Action == plan.Quarantine || f.Kind == plan.Restored:
			err = r.note(ctx, f, &w.out)
		}
		if err != nil {
			return err
		}
		w.mu.Lock()
		done := w.out.Sent + w.out.Landed
		w.mu.Unlock()
		r.Progress("repairing", done, p.Sends)
	}
	return nil
}

// hold counts a copy that is left to the next run.
func (w *work) hold(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out.Held++
	if why != nil {
		w.out.Unasked = fault.Text(why)
	}
}

// send has sent what the finding asks for, each event when the rate and a slot allow it.
func (r *Repairer) send(ctx context.Context, f plan.Finding, w *work) error {
	for _, s := range f.Sends() {
		done := func() {}
		if gate := w.gates[s.Tier]; f.Action == plan.Copy {
			open, err := gate.pass(ctx)
			if err != nil {
				return err
			}
			if !open {
				w.hold(gate.why)
				continue
			}
			done = gate.sent
		}
		if err := r.Rate.Wait(ctx); err != nil {
			return err
		}
		w.slots <- struct{}{}
		w.all.Go(func() {
			defer func() { <-w.slots }()
			sent, err := r.sendOne(ctx, f, s)
			done()
			w.mu.Lock()
			defer w.mu.Unlock()
			switch {
			case err != nil:
				err = r.failed(ctx, &w.out, fmt.Errorf("repair %s in %s: %w", f.IdempotencyKey, s.Tier, err))
				if err != nil && w.err == nil {
					w.err = err
					w.stop()
				}
			case sent:
				w.out.Sent++
			default:
				w.out.Landed++
			}
		})
	}
	return nil
}

// mostFailed is how many recordings may fail before a run gives up: then it is not the recordings.
const mostFailed = 100

// failed notes a recording that could not be repaired, and goes on: one must not keep the others from it.
func (r *Repairer) failed(ctx context.Context, out *Result, err error) error {
	if out.Failed++; out.Failed >= mostFailed || ctx.Err() != nil {
		return err
	}
	out.Why = fault.Text(err)
	r.Log.Error("a recording could not be repaired", zap.String("error", fault.Text(err)))
	return nil
}

// sendOne sends one event, unless it is no longer needed.
func (r *Repairer) sendOne(ctx context.Context, f plan.Finding, s plan.Send) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	e, err := r.Source.Gather(ctx, f.IdempotencyKey, f.ObjectKey)
	if err != nil || e.Forgotten() || !needed(e, f.Action, s.Tier) {
		return false, err
	}
	if gone, err := r.Erased(ctx, f.IdempotencyKey); err != nil || gone {
		return false, err
	}
	body, trace, err := r.body(ctx, e, f, s)
	if err != nil {
		return false, err
	}
	id := fmt.Sprintf("%s/%s/%s/after/%d", Reason, s.Tier, event.HashKey(f.IdempotencyKey), s.After)
	if _, err := r.Publisher.Redrive(ctx, s.Tier, "redrive/"+id, trace, body); err != nil {
		return false, err
	}
	r.Log.Info("sent again", zap.String("tier", s.Tier.String()), zap.String("recording_id", f.IdempotencyKey), zap.String("reason", string(f.Kind)))
	return true, r.Publisher.Audit(ctx, event.Audit{
		Kind: event.AuditRedriven, Tier: s.Tier.String(), Time: r.Now(), MsgID: string(event.AuditRedriven) + "/" + id,
		Data: event.AuditData{Tier: s.Tier.String(), IdempotencyKey: f.IdempotencyKey, ObjectKey: f.ObjectKey, Reason: Reason + ": " + string(f.Kind), By: r.By},
	})
}

// needed says that the tier still lacks what the action would bring.
func needed(e *evidence.Evidence, a plan.Action, t tier.Tier) bool {
	switch a {
	case plan.Copy:
		return e.Object[t] == nil && e.Verified(t.Sibling()) && e.Clear()
	case plan.Fetch:
		return e.Object[t] == nil
	}
	return e.Sidecar[t] == nil && e.Foreign[t] == nil
}

// body is the event that is sent: the accepted one where RECORDINGS still has it, else one made of a sidecar.
func (r *Repairer) body(ctx context.Context, e *evidence.Evidence, f plan.Finding, s plan.Send) (body []byte, trace string, err error) {
	var from redrive.Sibling
	agreed := e.Agreed()
	if agreed != nil && e.Entry == nil {
		from.Sidecar = agreed.Sidecar
	}
	if f.Action == plan.Copy {
		from.CopyFrom, err = redrive.Link(ctx, r.Source.Stores[s.Tier.Sibling()], *agreed)
		if _, _, accepted := s.Event(); err != nil && (!accepted || !errors.Is(err, objstore.ErrCannotLink)) {
			return nil, "", err // else the platform may still have the media
		}
	}
	if stream, seq, found := s.Event(); found {
		m, err := r.accepted(ctx, stream, seq)
		if err != nil {
			return nil, "", err
		}
		if m != nil && fits(m.Data, f.IdempotencyKey, e) {
			body, err = redrive.Of(m.Data, Reason, from)
			if err == nil && s.Expect != nil {
				body, err = redrive.Expect(body, *s.Expect)
			}
			return body, m.Header.Get("traceparent"), err
		}
	}
	if agreed == nil || len(agreed.Sidecar) == 0 {
		return nil, "", errors.New("neither its event nor a sidecar is left to send it by")
	}
	body, err = redrive.FromSidecar(agreed.Sidecar, Reason, from.CopyFrom, r.Now())
	return body, "", err
}

// fits says that the event is the recording's, and contradicts nothing that is agreed on: sent again, another could only end
// as one more dead letter.
func fits(body []byte, key string, e *evidence.Evidence) bool {
	ev, err := event.Parse(body)
	return err == nil && ev.Data.IdempotencyKey == key && !e.Contradicted(ev)
}

// accepted returns the event of that sequence, nil if the stream has let it go.
func (r *Repairer) accepted(ctx context.Context, name string, seq uint64) (*jetstream.RawStreamMsg, error) {
	stream, err := r.JS.Stream(ctx, name)
	if err != nil {
		return nil, fault.New(fault.Unavailable, fault.Queue, "read an event", err)
	}
	m, err := stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, fault.Queue, "read an event", err)
	}
	return m, nil
}

// note notes a finding in quarantine, and tells of one that is new.
func (r *Repairer) note(ctx context.Context, f plan.Finding, out *Result) error {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	fresh, err := r.Book.Note(ctx, f.About(), f.Difference())
	if err != nil || !fresh {
		return err
	}
	out.Noted++
	err = r.Publisher.Audit(ctx, event.Audit{
		Kind: event.AuditQuarantined, Tier: f.Tier, Time: r.Now(), Data: event.AuditData{
			Tier: f.Tier, IdempotencyKey: f.IdempotencyKey, ObjectKey: f.ObjectKey, Reason: string(f.Kind) + ": " + f.Evidence, By: r.By,
		},
	})
	if err != nil {
		return err
	}
	if f.Kind == plan.Restored {
		return r.settle(ctx, f)
	}
	r.Log.Error("evidence of harm: look at quarantine list", zap.String("tier", f.Tier), zap.String("recording_id", f.IdempotencyKey),
		zap.String("kind", string(f.Kind)), zap.String("object_key", f.ObjectKey), zap.String("evidence", f.Evidence))
	return nil
}

// settle resolves what needs nobody's look, unless more was noted of the recording.
func (r *Repairer) settle(ctx context.Context, f plan.Finding) error {
	rec, err := r.Book.Get(ctx, quarantine.Record{IdempotencyKey: f.IdempotencyKey, ObjectKey: f.ObjectKey}.Name())
	if err != nil {
		return err
	}
	for _, d := range rec.Differences {
		if d.Kind != string(plan.Restored) {
			return nil
		}
	}
	err = r.Book.Resolve(ctx, rec, r.By, "deleted and created again; all versions are the same")
	if errors.Is(err, quarantine.ErrChanged) {
		return nil
	}
	return err
}
