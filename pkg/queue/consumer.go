package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/tier"
)

// Delivery is one message in hand.
type Delivery struct {
	Lane     Lane
	Stream   string
	Subject  string
	Sequence uint64    // in the stream
	Count    int       // how often it was delivered, this time included
	Stored   time.Time // when the stream took it
	Header   nats.Header
	Body     []byte
}

// Handler works on one delivery; the returned error is the verdict. nil: acknowledged, and the acknowledgement is
// confirmed by the server. *Later: handed back, to come again after its wait. Any other error: handed back at once.
// When ctx ends (the drain time is over) the handler gives up and returns; what it returns then hands the message back at once.
type Handler func(ctx context.Context, d Delivery) error

// Later is the verdict that hands a message back for a while.
type Later struct {
	After time.Duration
	Err   error
}

// Error returns the reason.
func (l *Later) Error() string { return fmt.Sprintf("again in %s: %v", l.After, l.Err) }

// Unwrap returns the reason.
func (l *Later) Unwrap() error { return l.Err }

// Times of acknowledging.
const (
	ackTimeout = 5 * time.Second // for one confirmed acknowledgement
	ackTries   = 3
	lastAck    = 500 * time.Millisecond // for one that the end of the drain time befalls
)

// Consumer pulls the lanes of one tier: never more than there are free slots.
type Consumer struct {
	JS   jetstream.JetStream
	Tier tier.Tier
	// Peers says that it pulls the peer region's events, and has no backfill beside them: those are in the same lane.
	Peers bool
	Slots int // how many messages may be in hand
	// Open says what may be pulled now; nil: all slots, and backfill's share. While it allows no slots nothing is pulled, so
	// that the backlog waits in the stream and not in redelivery timers.
	Open func() Allowance
	Log  *zap.Logger
}

// first is the lane that it waits for.
func (c *Consumer) first() Lane {
	if c.Peers {
		return PeerLane
	}
	return Live
}

// Allowance is how many messages may be in hand.
type Allowance struct {
	Slots    int // of both lanes together
	Backfill int // of them of the backfill lane, where live leaves slots over
	Beside   int // of them of the backfill lane beside a live lane that has more to give
}

// Allow returns the allowance of a tier that is well: backfill has what live leaves over, and beside a busy live lane a
// tenth of the slots, at least one, so that it never starves.
func Allow(slots int) Allowance { return Allowance{slots, slots, max(1, slots/backfillShare)} }

// handle has one message worked on, keeps it from being redelivered meanwhile, and carries out the verdict.
func (c *Consumer) handle(ctx, drain context.Context, lane Lane, msg jetstream.Msg, h Handler) {
	meta, err := msg.Metadata()
	if err != nil {
		c.Log.Error("a message without JetStream metadata is left to be redelivered", zap.String("error", fault.Text(err)))
		return
	}
	if ctx.Err() != nil {
		c.handBack(msg, meta, pullWait) // by then our own last pull request, which would get it again, has expired
		return
	}
	work, done := context.WithCancel(drain)
	stop := keepAlive(work, msg)
	verdict := h(work, Delivery{
		Lane: lane, Stream: meta.Stream, Subject: msg.Subject(), Sequence: meta.Sequence.Stream, Count: int(meta.NumDelivered),
		Stored: meta.Timestamp, Header: msg.Headers(), Body: msg.Data(),
	})
	done()
	<-stop
	var later *Later
	switch {
	case verdict == nil:
		c.ack(drain, msg, meta)
	case drain.Err() == nil && errors.As(verdict, &later):
		c.handBack(msg, meta, later.After)
	default:
		c.handBack(msg, meta, 0)
	}
}

// keepAlive tells the server three times within each AckWait that work goes on. The channel is closed once it has ended.
func keepAlive(ctx context.Context, msg jetstream.Msg) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(AckWait / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_ = msg.InProgress() // a lost one is made good by the next
			}
		}
	}()
	return ended
}

// ack acknowledges and waits until the server has confirmed it. A lost confirmation costs a redelivery, which finds the
// object by its Stat; so once the drain time is over a server that does not answer is not waited for.
func (c *Consumer) ack(drain context.Context, msg jetstream.Msg, meta *jetstream.MsgMetadata) {
	var err error
	for range ackTries {
		ctx, cancel := context.WithTimeout(context.Background(), ackTimeout)
		stop := context.AfterFunc(drain, func() { time.AfterFunc(lastAck, cancel) })
		err = msg.DoubleAck(ctx)
		stop()
		cancel()
		if err == nil || errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
			return
		}
		if drain.Err() != nil {
			break
		}
	}
	c.Log.Warn("acknowledgement not confirmed; the message will come again", zap.Stringer("tier", c.Tier),
		zap.Uint64("sequence", meta.Sequence.Stream), zap.String("error", fault.Text(err)))
}

func (c *Consumer) handBack(msg jetstream.Msg, meta *jetstream.MsgMetadata, after time.Duration) {
	var err error
	if after > 0 {
		err = msg.NakWithDelay(after)
	} else {
		err = msg.Nak()
	}
	if err != nil {
		c.Log.Warn("hand-back failed; the message will come again when its ack wait is over", zap.Stringer("tier", c.Tier),
			zap.Uint64("sequence", meta.Sequence.Stream), zap.String("error", fault.Text(err)))
	}
}
