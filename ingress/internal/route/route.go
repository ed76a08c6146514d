// Package route decides which tiers take an event live, by what the workers say of their stores and by how many requests
// primary's store may get. A tier that is left out takes the event later, as backfill: a route chooses a subject of one and
// the same stream, so that whatever it is, nothing is lost by it, and nothing doubled.
package route

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/queue"
)

// Board knows how the tiers stand, from memory. *queue.Watcher is one.
type Board interface {
	Standings() queue.Standings
}

// Options are what a Router is made of.
type Options struct {
	Config   Config
	Board    Board
	Live     func() int // how many ingresses share the request limit, from memory
	Now      func() time.Time
	Draw     func() float64 // uniform in [0, 1), for any goroutine
	Log      *zap.Logger
	Registry prometheus.Registerer
}

// Router decides routes. It is safe for concurrent use.
type Router struct {
	Options
	weights atomic.Pointer[weights]
	bucket  *bucket
	metrics *metrics
}

// weights are the shares of new events that the tiers take live, 0 to 1.
type weights struct{ primary, backup float64 }

// New returns a Router that gives everything to both tiers until Run has seen the board.
func New(o Options) *Router {
	r := &Router{Options: o, bucket: newBucket(o.Config.perSecond()), metrics: newMetrics(o.Registry)}
	r.weights.Store(&weights{1, 1})
	return r
}

// Route says which tiers take a new recording of that size (bytes; nil: not given) live. Each tier does with the
// probability of its weight; where neither does, both do. What would go to primary beyond its request limit goes to backup
// alone, unless that takes nothing: then the stream holds it for primary. Route answers from memory, and never fails.
func (r *Router) Route(size *int64) queue.Route {
	w := r.weights.Load()
	primary, backup := r.drawn(w.primary), r.drawn(w.backup)
	if !primary && !backup {
		primary, backup = true, true
	}
	if primary && !r.bucket.take(r.Now(), cost(size)) && w.backup > 0 {
		primary, backup = false, true
		r.metrics.limited.Inc()
	}
	switch {
	case primary && backup:
		r.metrics.both.Inc()
		return queue.Both
	case primary:
		r.metrics.primary.Inc()
		return queue.Primary
	default:
		r.metrics.backup.Inc()
		return queue.Backup
	}
}

// drawn draws whether a tier of that weight takes one event.
func (r *Router) drawn(weight float64) bool {
	return weight >= 1 || weight > 0 && r.Draw() < weight
}

// lookEvery is how often the board is looked at. It is memory; with the Watcher's own second a change is heeded well within
// the contract's three.
const lookEvery = 250 * time.Millisecond

// Run follows the board and the number of live ingresses until ctx ends.
func (r *Router) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		r.look()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
