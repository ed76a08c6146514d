package route

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// What a recording costs primary's store, in requests.
const (
	part      = 8 << 20
	small     = 2      // up to a part: the media and its sidecar
	large     = 4      // more: besides its parts, create, complete, look and sidecar
	unknown   = 4      // no size given
	mostParts = 10_000 // S3 takes no more of them: a size that is a lie must not block the bucket for years
)

// cost is how many requests a recording of that size (bytes; nil: not given) will make.
func cost(size *int64) int {
	switch {
	case size == nil:
		return unknown
	case *size <= part:
		return small
	}
	return large + int(min((*size-1)/part+1, mostParts))
}

// bucket is a token bucket that holds requests to primary's store at a rate that all live ingresses share evenly; it is full
// with one second's worth.
//
// Its rule: what comes is let through while a whole token is left, and then takes all of its cost, also where the bucket
// does not hold so much: the rest is a debt, which is paid off before the next is let through. So a recording that costs
// more than a full bucket is not refused for ever, and no request goes uncounted.
type bucket struct {
	all float64 // requests a second, of all ingresses

	mu     sync.Mutex
	live   int
	tokens *rate.Limiter
}

func newBucket(all float64) *bucket {
	return &bucket{all: all, live: 1, tokens: rate.NewLimiter(rate.Limit(all), burst(all))}
}

// burst is how much a bucket of that rate holds.
func burst(perSecond float64) int { return max(int(perSecond), 1) }

// share sets how many ingresses live: each takes its part of the rate.
func (b *bucket) share(now time.Time, live int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if live = max(live, 1); live == b.live {
		return
	}
	b.live = live
	own := b.all / float64(live)
	b.tokens.SetLimitAt(now, rate.Limit(own))
	b.tokens.SetBurstAt(now, burst(own))
}

// take takes n tokens, if there is one.
func (b *bucket) take(now time.Time, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens.TokensAt(now) < 1 {
		return false
	}
	for most := b.tokens.Burst(); n > 0; n -= most { // no more than that at once
		b.tokens.ReserveN(now, min(n, most))
	}
	return true
}
