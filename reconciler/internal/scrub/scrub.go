// Package scrub reads back what the stores hold, all of it, once in a period, and hashes it: bit rot and silent replacement
// show in no listing, and in no checksum that a store only remembers. It mends nothing. What differs goes into quarantine,
// the audit log, the log and a metric, with the word which copy is good.
//
// Each tier's media are read in the order of their keys, by pieces spread evenly over the period. Where a turn got is
// remembered in the audit log, so that a restart goes on there. Only what a store answered, wholly and twice, and what is not
// as its sidecar says, is a finding: a store that is away, throttles or refuses us makes a turn wait, and is none.
package scrub

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
)

// Times of a turn.
const (
	look      = time.Minute      // how long a wait is before what it depends on is looked at again
	saveEvery = 10 * time.Minute // how often a turn's place is remembered
	saveIdle  = 24 * time.Hour   // and where it does not change: the audit log forgets what is old
	actTime   = 10 * time.Second // for one step with NATS
	farewell  = 2 * time.Second  // for remembering the place when told to stop
)

// Noter takes what differs into quarantine: the quarantine's Book.
type Noter interface {
	Note(ctx context.Context, about quarantine.About, diffs ...quarantine.Difference) (fresh bool, err error)
}

// Auditor publishes audit events and waits for their acknowledgement: the queue's Publisher.
type Auditor interface {
	Audit(ctx context.Context, a event.Audit) error
}

// Scrubber scrubs both tiers. Its fields are set before Run and not changed.
type Scrubber struct {
	Stores map[tier.Tier]objstore.Reader
	Period time.Duration // of a turn
	Budget int64         // bytes that are read in an hour, of both tiers together
	Note   Noter
	Audit  Auditor
	// Last returns the body of the newest audit event of kind run of a tier, nil if there is none: see LastRun.
	Last func(ctx context.Context, t tier.Tier) ([]byte, error)
	// Weight says how well a tier is, 0 to 1: with 0 its media are left alone, with less than 1 they are read more slowly.
	Weight  func(ctx context.Context, t tier.Tier) float64
	Waits   queue.Schedule // before what failed is tried again
	Metrics *Metrics
	Log     *zap.Logger

	budget *rate.Limiter
	lanes  map[tier.Tier]*lane
	warned time.Time // that a turn takes longer than the period
	mu     sync.Mutex
}

// Waits are how long it waits, in earnest, before it tries again what failed.
func Waits() queue.Schedule { return queue.Schedule{Base: time.Second, Cap: 5 * time.Minute} }

// lane is what is known of one tier. What is below saving is under the scrubber's lock.
type lane struct {
	tier   tier.Tier
	store  objstore.Reader
	pace   *rate.Limiter
	buffer []byte     // of the goroutine that walks
	saving sync.Mutex // held by who writes to the audit log and the quarantine

	mark     Mark      // where the turn is
	size     Size      // of what a turn reads
	weight   float64   // as last told
	weighed  time.Time // when that was
	saved    time.Time // when the mark was
	changed  bool      // since then
	pending  []finding // not in quarantine or not in the audit log yet
	proof    string    // the key that was read last
	troubled [2]bool   // the store's trouble with reading, with listing was logged
	mute     bool      // likewise, that AUDIT or the quarantine take nothing
}

// Run scrubs until ctx ends. Of several who run at once, each reads everything.
func (s *Scrubber) Run(ctx context.Context) {
	s.budget = rate.NewLimiter(rate.Limit(float64(s.Budget)/time.Hour.Seconds()), piece)
	s.lanes, s.warned = map[tier.Tier]*lane{}, time.Time{}
	for _, t := range tier.All() {
		s.lanes[t] = &lane{tier: t, store: s.Stores[t], pace: rate.NewLimiter(0, piece), buffer: make([]byte, bufferSize), weight: 1}
	}
	defer s.Metrics.clear()
	var all sync.WaitGroup
	defer all.Wait()
	for _, l := range s.lanes {
		all.Go(func() { s.run(ctx, l) })
	}
}

// run scrubs one tier.
func (s *Scrubber) run(ctx context.Context, l *lane) {
	if s.recall(ctx, l) != nil {
		return
	}
	if l.size.At.IsZero() && s.measure(ctx, l) != nil {
		return
	}
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { s.keepMeasuring(ctx, l) })
	all.Go(func() { s.remember(ctx, l) })
	for s.turn(ctx, l) == nil {
		continue
	}
}

// sleep waits for d; an error says that ctx has ended.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
