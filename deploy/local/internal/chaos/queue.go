package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/deploy/local/internal/stack"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// queueView is the runner's own look at the queue. It outlives every absence of NATS.
type queueView struct {
	nc *nats.Conn
	js jetstream.JetStream
}

func viewQueue(a stack.NATSAccess) (*queueView, error) {
	nc, err := nats.Connect(a.URL, nats.UserInfo(a.User, a.Password), nats.Name("chaos"), nats.MaxReconnects(-1),
		nats.ReconnectWait(200*time.Millisecond), nats.RetryOnFailedConnect(true))
	if err != nil {
		return nil, fmt.Errorf("connect to NATS to look at the queue: %w", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("connect to NATS to look at the queue: %w", err)
	}
	return &queueView{nc, js}, nil
}

func (q *queueView) close() {
	if q != nil {
		q.nc.Close()
	}
}

// left is what the consumers still have to do: messages that wait, and such as are in hand or wait for another try.
func (q *queueView) left(ctx context.Context) (waiting, inHand int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, t := range tier.All() {
		for _, lane := range queue.Lanes() {
			c, err := q.js.Consumer(ctx, queue.Recordings, queue.ConsumerName(t, lane))
			if err != nil {
				return 0, 0, err
			}
			info := c.CachedInfo()
			waiting, inHand = waiting+int(info.NumPending), inHand+info.NumAckPending
		}
	}
	return waiting, inHand, nil
}

// settle waits until nothing is left to do.
func (q *queueView) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		waiting, inHand, err := q.left(ctx)
		if err == nil && waiting+inHand == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("after %s there are still %d messages waiting and %d in hand", patience, waiting, inHand), err)
		}
	}
}

// recordings counts the events in RECORDINGS by idempotency key.
func (q *queueView) recordings(ctx context.Context, keyOf func([]byte) string) (map[string]int, error) {
	s, err := q.js.Stream(ctx, queue.Recordings)
	if err != nil {
		return nil, err
	}
	n := s.CachedInfo().State.Msgs
	all := make(map[string]int)
	if n == 0 {
		return all, nil
	}
	c, err := q.js.OrderedConsumer(ctx, queue.Recordings, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, err
	}
	it, err := c.Messages()
	if err != nil {
		return nil, err
	}
	defer it.Stop()
	for range n {
		m, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("read the stream: %w", err)
		}
		all[keyOf(m.Data())]++
	}
	return all, nil
}
