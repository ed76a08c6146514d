package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
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

// Slots bounds the messages in hand over several consumers of a process.
type Slots chan struct{}

// NewSlots returns n free slots.
func NewSlots(n int) Slots { return make(Slots, n) }

// take waits for one free slot and then takes further free ones, up to limit in all. It returns 0 when ctx ends.
func (s Slots) take(ctx context.Context, limit int) int {
	select {
	case s <- struct{}{}:
	case <-ctx.Done():
		return 0
	}
	for n := 1; ; n++ {
		if n == limit {
			return n
		}
		select {
		case s <- struct{}{}:
		default:
			return n
		}
	}
}

func (s Slots) free(n int) {
	for range n {
		<-s
	}
}

// Times of the pull loop.
const (
	pullWait   = 2 * time.Second        // one pull request's life; bounds how long a stop waits for it
	pullPause  = 500 * time.Millisecond // after a failed pull, and between looks at a closed gate
	ackTimeout = 5 * time.Second        // for one confirmed acknowledgement
	ackTries   = 3
)

// Consumer pulls one lane of one tier: never more than there are free slots.
type Consumer struct {
	JS    jetstream.JetStream
	Name  string // the durable consumer
	Lane  Lane
	Slots Slots
	// Open says whether to pull now, and up to how many messages; nil: always, all free slots. While it answers 0 nothing is pulled,
	// so that the backlog waits in the stream and not in redelivery timers.
	Open func() int
	Log  *zap.Logger
}

// Run pulls and handles until ctx ends, then waits for the messages in hand. The handlers' context ends with drain.
// What still arrives once ctx has ended is handed back unopened.
func (c *Consumer) Run(ctx, drain context.Context, h Handler) {
	var inHand sync.WaitGroup
	defer inHand.Wait()
	var handle jetstream.Consumer
	for ctx.Err() == nil {
		limit := cap(c.Slots)
		if c.Open != nil {
			limit = min(limit, c.Open())
		}
		if limit <= 0 {
			pause(ctx, pullPause)
			continue
		}
		n := c.Slots.take(ctx, limit)
		if n == 0 {
			return
		}
		if err := c.pull(ctx, drain, &handle, n, h, &inHand); err != nil && ctx.Err() == nil {
			handle = nil // it may have been made anew meanwhile
			c.Log.Warn("pull failed", zap.String("consumer", c.Name), zap.String("error", fault.Text(err)))
			pause(ctx, pullPause)
		}
	}
}

// pull asks for up to n messages, for which n slots are taken, and starts a handler for each as it comes.
func (c *Consumer) pull(ctx, drain context.Context, handle *jetstream.Consumer, n int, h Handler, inHand *sync.WaitGroup) error {
	unused := n
	defer func() { c.Slots.free(unused) }()
	if *handle == nil {
		found, err := c.JS.Consumer(drain, Recordings, c.Name)
		if err != nil {
			return err
		}
		*handle = found
	}
	batch, err := (*handle).Fetch(n, jetstream.FetchMaxWait(pullWait))
	if err != nil {
		return err
	}
	for msg := range batch.Messages() {
		unused--
		inHand.Go(func() {
			defer c.Slots.free(1)
			c.handle(ctx, drain, msg, h)
		})
	}
	if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) {
		return err
	}
	return nil
}

// handle has one message worked on, keeps it from being redelivered meanwhile, and carries out the verdict.
func (c *Consumer) handle(ctx, drain context.Context, msg jetstream.Msg, h Handler) {
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
		Lane: c.Lane, Stream: meta.Stream, Subject: msg.Subject(), Sequence: meta.Sequence.Stream, Count: int(meta.NumDelivered),
		Stored: meta.Timestamp, Header: msg.Headers(), Body: msg.Data(),
	})
	done()
	<-stop
	var later *Later
	switch {
	case verdict == nil:
		c.ack(msg, meta)
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
// object by its Stat.
func (c *Consumer) ack(msg jetstream.Msg, meta *jetstream.MsgMetadata) {
	var err error
	for range ackTries {
		ctx, cancel := context.WithTimeout(context.Background(), ackTimeout)
		err = msg.DoubleAck(ctx)
		cancel()
		if err == nil || errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
			return
		}
	}
	c.Log.Warn("acknowledgement not confirmed; the message will come again", zap.String("consumer", c.Name),
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
		c.Log.Warn("hand-back failed; the message will come again when its ack wait is over", zap.String("consumer", c.Name),
			zap.Uint64("sequence", meta.Sequence.Stream), zap.String("error", fault.Text(err)))
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
