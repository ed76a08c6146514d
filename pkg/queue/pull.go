package queue

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
)

// Times of the pull loop.
const (
	pullWait      = time.Second            // one waiting pull request's life; bounds how long a stop, and a backfill, waits for it
	pullPause     = 500 * time.Millisecond // after a failed pull, and between looks at a closed gate
	backfillEvery = time.Second            // how often a busy live lane lets backfill have its share
)

// backfillShare is the part of all slots, one in so many, that backfill has beside a busy live lane.
const backfillShare = 10

// puller is a Consumer at work.
type puller struct {
	*Consumer
	ctx, drain context.Context
	handler    Handler

	free     chan struct{} // one for each free slot
	hands    chan delivered
	lanes    map[Lane]jetstream.Consumer
	backfill atomic.Int32 // messages of that lane in hand
	looked   time.Time    // when backfill was last asked for
	more     bool         // it gave all that it was asked for then
}

// delivered is a message on its way to its handler.
type delivered struct {
	lane Lane
	msg  jetstream.Msg
}

// Run pulls and handles until ctx ends, then waits for the messages in hand. The handlers' context ends with drain.
// What still arrives once ctx has ended is handed back unopened.
func (c *Consumer) Run(ctx, drain context.Context, h Handler) {
	p := &puller{
		Consumer: c, ctx: ctx, drain: drain, handler: h,
		free: make(chan struct{}, c.Slots), hands: make(chan delivered), lanes: map[Lane]jetstream.Consumer{},
	}
	// One goroutine a slot, for good: a new one for each message would have to grow its stack each time.
	var inHand sync.WaitGroup
	for range c.Slots {
		p.free <- struct{}{}
		inHand.Go(p.work)
	}
	defer inHand.Wait()
	defer close(p.hands)
	for ctx.Err() == nil {
		n, allowed := p.take()
		if n == 0 {
			pause(ctx, pullPause)
			continue
		}
		rest, err := p.round(n, allowed)
		p.give(rest)
		if err != nil && ctx.Err() == nil {
			clear(p.lanes) // the consumer may have been made anew meanwhile
			c.Log.Warn("pull failed", zap.Stringer("tier", c.Tier), zap.String("error", fault.Text(err)))
			pause(ctx, pullPause)
		}
	}
}

// take takes all free slots, as far as the gate lets them be used, and waits for the first; the gate is asked again with
// each slot that becomes free, and now and then: it may let more be used while what is in hand takes long. 0: the gate is
// closed, or it is time to end.
func (p *puller) take() (n int, allowed Allowance) {
	look := time.NewTicker(pullPause)
	defer look.Stop()
	for {
		allowed = Allow(p.Slots)
		if p.Open != nil {
			allowed = p.Open()
		}
		if allowed.Slots <= 0 {
			p.give(n)
			return 0, allowed
		}
		n += p.grab()
		if closed := max(0, p.Slots-allowed.Slots); n > closed { // those are not to be used now
			p.give(closed)
			return n - closed, allowed
		}
		select {
		case <-p.free:
			n++
		case <-look.C:
		case <-p.ctx.Done():
			p.give(n)
			return 0, allowed
		}
	}
}

// grab takes what is free.
func (p *puller) grab() (n int) {
	for {
		select {
		case <-p.free:
			n++
		default:
			return n
		}
	}
}

func (p *puller) give(n int) {
	for range n {
		p.free <- struct{}{}
	}
}

// round uses n slots for what there is: live first, what it leaves over for backfill; where there is nothing it waits for
// live. Now and then backfill comes first with its share, see due, so that a busy live lane cannot starve it. It returns
// the slots left over.
func (p *puller) round(n int, allowed Allowance) (rest int, err error) {
	rest = n
	empty := false // backfill has been found so in this round
	if share := allowed.Beside - int(p.backfill.Load()); share > 0 && p.due(allowed) {
		share = min(rest, share)
		if rest, err = p.pull(Backfill, rest, share, jetstream.Consumer.FetchNoWait); err != nil {
			return rest, err
		}
		p.looked, p.more, empty = time.Now(), n-rest == share, rest == n
	}
	first := p.first()
	if rest > 0 {
		if rest, err = p.pull(first, rest, rest, jetstream.Consumer.FetchNoWait); err != nil {
			return rest, err
		}
	}
	if spare := min(rest, allowed.Backfill-int(p.backfill.Load())); spare > 0 && !empty {
		if rest, err = p.pull(Backfill, rest, spare, jetstream.Consumer.FetchNoWait); err != nil {
			return rest, err
		}
	}
	if rest < n {
		return rest, nil
	}
	return p.pull(first, rest, rest, func(c jetstream.Consumer, n int) (jetstream.MessageBatch, error) {
		return c.Fetch(n, jetstream.FetchMaxWait(pullWait))
	})
}

// due says whether it is backfill's turn to come first: each second; and where its share is more than the least, as long
// as it has more.
func (p *puller) due(allowed Allowance) bool {
	often := allowed.Beside > Allow(allowed.Slots).Beside
	return time.Since(p.looked) >= backfillEvery || often && p.more
}

// pull asks a lane for up to n messages, for which slots are taken, and starts a handler for each as it comes. It returns
// what is left over of slots.
func (p *puller) pull(lane Lane, slots, n int, fetch func(jetstream.Consumer, int) (jetstream.MessageBatch, error)) (rest int, err error) {
	select {
	case <-p.ctx.Done(): // with NATS away each further request would be waited for
		return slots, nil
	default:
	}
	consumer := p.lanes[lane]
	if consumer == nil {
		if consumer, err = p.JS.Consumer(p.drain, streamOf(lane), ConsumerName(p.Tier, lane)); err != nil {
			return slots, err
		}
		p.lanes[lane] = consumer
	}
	batch, err := fetch(consumer, n)
	if err != nil {
		return slots, err
	}
	for msg := range batch.Messages() {
		slots--
		if lane == Backfill {
			p.backfill.Add(1)
		}
		p.hands <- delivered{lane, msg}
	}
	if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, jetstream.ErrNoMessages) {
		return slots, err
	}
	return slots, nil
}

// work handles one message after the other, each in a slot that was taken for it.
func (p *puller) work() {
	for d := range p.hands {
		p.handle(p.ctx, p.drain, d.lane, d.msg, p.handler)
		if d.lane == Backfill {
			p.backfill.Add(-1)
		}
		p.give(1)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
