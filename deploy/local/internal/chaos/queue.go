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
	nc    *nats.Conn
	js    jetstream.JetStream
	peers bool // it follows another region
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
	return &queueView{nc: nc, js: js}, nil
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
	lanes := map[queue.Lane]string{queue.Live: queue.Recordings, queue.Backfill: queue.Recordings}
	if q.peers {
		lanes[queue.PeerLane] = queue.PeerRecordings
	}
	for _, t := range tier.All() {
		for lane, stream := range lanes {
			c, err := q.js.Consumer(ctx, stream, queue.ConsumerName(t, lane))
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
	return q.events(ctx, queue.Recordings, keyOf)
}

// events counts the events in a stream by idempotency key.
func (q *queueView) events(ctx context.Context, stream string, keyOf func([]byte) string) (map[string]int, error) {
	s, err := q.js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	n := s.CachedInfo().State.Msgs
	all := make(map[string]int)
	if n == 0 {
		return all, nil
	}
	c, err := q.js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{})
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

// last is a stream's last sequence.
func (q *queueView) last(ctx context.Context, stream string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := q.js.Stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	return s.CachedInfo().State.LastSeq, nil
}
