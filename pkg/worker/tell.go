package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/tier/breaker"
)

// Times of telling.
const (
	tellLook    = 200 * time.Millisecond // how often it is looked whether there is something to tell
	tellAgain   = time.Second            // after it failed
	tellTimeout = 2 * time.Second
	shoutEvery  = time.Minute
)

// maxTurns bounds what waits for an AUDIT stream that is away; of more the latest are kept.
const maxTurns = 100

// board is where views are told: a *queue.Board.
type board interface {
	Tell(ctx context.Context, t tier.Tier, instance string, v tier.View) error
	Withdraw(ctx context.Context, t tier.Tier, instance string) error
}

// teller tells others how the tier's store does, as its keeper sees it, and the keeper what others say of the tier.
type teller struct {
	*keeper
	board     board
	standings func() queue.Standings

	told    tier.View
	next    time.Time   // when it is told again, changed or not
	turns   []tier.View // not in the audit log yet
	retry   time.Time   // when the audit log is tried again
	shouted time.Time
}

// newTeller returns a teller; until it has read the board its keeper lets nothing be pulled, which might be paused.
func newTeller(k *keeper, b board, standings func() queue.Standings) *teller {
	k.unheard.Store(true)
	return &teller{keeper: k, board: b, standings: standings}
}

// run tells each change, and all of it every queue.ViewEvery, until ctx ends; then it takes its word back.
func (t *teller) run(ctx context.Context) {
	tick := time.NewTicker(tellLook)
	defer tick.Stop()
	for ctx.Err() == nil {
		t.read()
		t.tell(ctx)
		t.report(ctx)
		t.shout()
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTimeout)
	defer cancel()
	if err := t.board.Withdraw(last, t.tier, t.instance); err != nil {
		t.log.Warn("own view not taken back; it lapses within a minute", zap.String("error", fault.Text(err)))
	}
}

// read takes in what the board says of the tier: whether it is paused, whether others are well, and among how many the rate is
// shared.
func (t *teller) read() {
	all := t.standings()
	if all == nil {
		return
	}
	s := all[t.tier]
	t.listen(all)
	was := t.paused.Swap(s.Pause)
	t.unheard.Store(false)
	if (was == nil) != (s.Pause == nil) {
		t.log.Warn("the tier was paused or resumed", zap.Stringer("tier", t.tier), zap.Bool("paused", s.Pause != nil))
	}
	if n := len(s.Views); n > 0 && t.requests != nil { // with the board away nobody takes more than before
		t.requests.share(n)
	}
}

// tell publishes the view where it has changed or must be renewed.
func (t *teller) tell(ctx context.Context) {
	v, now := t.view(), t.now()
	same := v.State == t.told.State && v.Weight == t.told.Weight && v.Reason == t.told.Reason
	if same && now.Before(t.next) {
		return
	}
	try, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	t.told, t.next = v, now.Add(queue.ViewEvery)
	if err := t.board.Tell(try, t.tier, t.instance, v); err != nil {
		t.next = now.Add(tellAgain)
	}
}

// report writes changes of state into the audit log, each once: what AUDIT does not take is sent again, under the same ID.
func (t *teller) report(ctx context.Context) {
	fresh := t.health.Turns()
	for _, v := range fresh {
		t.log.Warn("the tier's store is seen in another state", zap.Stringer("tier", t.tier), zap.String("state", string(v.State)), zap.String("reason", v.Reason))
	}
	t.turns = append(t.turns, fresh...)
	t.turns = t.turns[max(0, len(t.turns)-maxTurns):]
	for len(t.turns) > 0 && !t.now().Before(t.retry) {
		v := t.turns[0]
		kind := map[tier.State]event.AuditKind{
			tier.Degraded: event.AuditTierDegraded, tier.Parked: event.AuditTierParked, tier.Healthy: event.AuditTierRecovered,
		}[v.State]
		try, cancel := context.WithTimeout(ctx, tellTimeout)
		err := t.audit.Audit(try, event.Audit{
			Kind: kind, Tier: t.tier.String(), Time: v.Since, MsgID: event.TurnID(kind, t.tier.String(), t.instance, v.Since),
			Data: event.AuditData{Tier: t.tier.String(), Reason: v.Reason, By: t.instance},
		})
		cancel()
		if err != nil {
			t.retry = t.now().Add(tellAgain)
			return
		}
		t.turns = t.turns[1:]
	}
}

// shout says once a minute that the tier is parked, and what to mend.
func (t *teller) shout() {
	v, now := t.health.View(t.now()), t.now()
	if v.State != tier.Parked || now.Sub(t.shouted) < shoutEvery {
		return
	}
	t.shouted = now
	t.log.Error("the store denies us: nothing is stored in this tier until that is mended", zap.Stringer("tier", t.tier),
		zap.Time("since", v.Since), zap.String("mend", mend), zap.String("error", v.Reason))
}

// mend is what to do about a parked tier.
const mend = "check the worker's credentials (expired, rotated, revoked), its permission to write below recordings/, metadata/ and probe/, to read there and to list the bucket, and the bucket's name and key; it resumes by itself"

// stands is the readiness detail of the tier.
func (k *keeper) stands(context.Context) error {
	if k.unheard.Load() {
		return errors.New("nothing is pulled until the board " + queue.Tiers + " has been read: the tier may be paused")
	}
	if p := k.paused.Load(); p != nil {
		return fmt.Errorf("paused by %s: %s", p.By, p.Reason)
	}
	v := k.health.View(k.now())
	switch {
	case v.State == tier.Parked:
		return fmt.Errorf("parked since %s: %s; %s", v.Since.Format(time.RFC3339), v.Reason, mend)
	case v.State == tier.Degraded:
		return fmt.Errorf("degraded since %s, one recording at a time: %s", v.Since.Format(time.RFC3339), v.Reason)
	case v.Weight < 1:
		return fmt.Errorf("weight %v: %s", v.Weight, v.Reason)
	}
	return nil
}

// passes is the readiness detail of the breaker.
func (k *keeper) passes(context.Context) error {
	if s := k.breaker.State(); s != breaker.Closed {
		return fmt.Errorf("%s, for another %s at least", s, k.breaker.Remaining().Round(time.Second))
	}
	return nil
}
