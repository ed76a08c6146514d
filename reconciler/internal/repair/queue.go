package repair

import (
	"context"
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
	shut   bool          // for the rest of the run
	left   int           // copies that may be sent before it asks again
	waited time.Duration // so far
}

// pass waits until a copy may be sent; false: not in this run.
func (g *gate) pass(ctx context.Context) (bool, error) {
	if g.shut {
		return false, nil
	}
	if g.left > 0 {
		g.left--
		return true, nil
	}
	for full := false; ; full = true {
		pending, err := g.ask(ctx)
		if err != nil {
			return false, err
		}
		bound := g.ahead
		if full {
			bound /= 2 // a queue that was full is let go down
		}
		if pending < bound {
			g.left = min(askEvery, bound-pending) - 1
			return true, nil
		}
		if g.waited >= longest {
			g.shut = true
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
			return int(c.CachedInfo().NumPending), nil
		}}
	}
	return out
}
