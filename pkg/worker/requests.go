package worker

import (
	"context"

	"golang.org/x/time/rate"

	"github.com/twinreel/twinreel/pkg/fault"
)

// requests holds the rate of a worker's requests to its store: the cap, shared evenly by the tier's live workers. Whoever
// is over it waits.
type requests struct {
	cap     float64 // requests a second of all workers together
	limiter *rate.Limiter
}

// burstShare is the part of a second's requests that may go at once.
const burstShare = 0.1

func newRequests(perSecond float64) *requests {
	r := &requests{cap: perSecond, limiter: rate.NewLimiter(rate.Inf, 1)}
	r.share(1)
	return r
}

// share says among how many live workers the cap is shared; less than 1 is 1.
func (r *requests) share(workers int) {
	own := r.cap / float64(max(1, workers))
	if rate.Limit(own) == r.limiter.Limit() {
		return
	}
	r.limiter.SetLimit(rate.Limit(own))
	r.limiter.SetBurst(max(1, int(own*burstShare)))
}

// take waits for a request's turn. What must not wait is only counted, so that others wait the longer.
func (r *requests) take(ctx context.Context, now bool) error {
	if now {
		r.limiter.Reserve()
		return nil
	}
	if err := r.limiter.Wait(ctx); err != nil {
		return fault.New(fault.Transient, fault.Store, "wait for a request's turn", err)
	}
	return nil
}
