package repair

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// A copy is sent with a link that lapses within the hour: behind a long backlog it would be of no use when its turn comes,
// run after run.
const (
	askEvery = 100                  // copies sent to a tier before its consumer is asked again
	longest  = objstore.MaxLink / 4 // how long a run waits for one tier, all in all
	nap      = time.Second
)

// gate lets copies through to one tier as long as its backlog is short.
type gate struct {
	ahead  int // events that may wait before the newest copy
	ask    func(ctx context.Context) (pending int, err error)
	pause  func(ctx context.Context, d time.Duration)
	now    func() time.Time
	flying atomic.Int64  // copies that are being sent, which the consumer may not count yet
	shut   bool          // for the rest of the run
	left   int           // copies that may be sent before it asks again
	waited time.Duration // so far
	why    error         // it is shut, where that is no backlog
}

// pass waits until a copy may be sent; false: not in this run. Of one that may be sent, sent is called afterwards.
func (g *gate) pass(ctx context.Context) (open bool, err error) {
	if g.shut {
		return false, nil
	}
	if g.left == 0 {
		if open, err := g.wait(ctx); err != nil || !open {
			return false, err
		}
	}
	g.left--
	g.flying.Add(1)
	return true, nil
}

// sent says that a copy that was let through is in the stream, or is not going there.
func (g *gate) sent() { g.flying.Add(-1) }

// wait waits until there is room behind the gate. A tier that cannot be asked is asked again, as one that has no room: it does
// not end the repair of the other one.
func (g *gate) wait(ctx context.Context) (bool, error) {
	for full := false; ; full = true {
		flying := int(g.flying.Load()) // before it asks: rather counted twice than not at all
		pending, unanswered := g.ask(ctx)
		if err := ctx.Err(); err != nil {
			return false, err
		}
		bound := g.ahead
		if full {
			bound /= 2 // a queue that was full is let go down
		}
		if room := bound - pending - flying; unanswered == nil && room > 0 {
			g.left = min(askEvery, room)
			return true, nil
		}
		if g.waited >= longest {
			g.shut, g.why = true, unanswered
			return false, nil
		}
		began := g.now()
		g.pause(ctx, nap)
		if err := ctx.Err(); err != nil {
			return false, err
		}
		g.waited += g.now().Sub(began)
	}
}

// gates returns one for each tier.
func (r *Repairer) gates() map[tier.Tier]*gate {
	out := map[tier.Tier]*gate{}
	for _, t := range tier.All() {
		out[t] = &gate{ahead: r.Ahead, pause: r.Pause, now: r.Now, ask: func(ctx context.Context) (int, error) {
			ctx, cancel := context.WithTimeout(ctx, actTimeout)
			defer cancel()
			c, err := r.JS.Consumer(ctx, queue.Recordings, queue.ConsumerName(t, queue.Live))
			if err != nil {
				return 0, fault.New(fault.Unavailable, fault.Queue, "ask how far "+t.String()+" is", err)
			}
			have := c.CachedInfo()
			return waiting(have.NumPending, have.NumAckPending, r.Ahead), nil
		}}
	}
	return out
}

// waiting is how many events count as waiting before a copy: those that nobody has taken yet, and of those that are under way,
// or wait for a timer, no more than slow it down: a copy comes to its turn although a source host is dead.
func waiting(pending uint64, unacknowledged, ahead int) int {
	return int(min(pending, math.MaxInt32)) + min(unacknowledged, ahead/4)
}
