package worker

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// durable is one of the four durable consumers: what became of each message. It is under the model's lock.
type durable struct {
	tier tier.Tier
	lane queue.Lane
	of   map[uint64]*pending
}

// pending is a message as its consumer sees it.
type pending struct {
	count int
	acked bool
	hand  *hand     // who has it; nil: nobody
	until time.Time // until when, if it is not kept alive
	free  time.Time // from when on it may be delivered again
}

// takes reports whether the consumer's filter lets the subject through.
func (d *durable) takes(subject string) bool {
	switch {
	case d.lane == queue.Backfill:
		return subject == queue.CompletedSubject(queue.Route(d.tier.Sibling()))
	case subject == queue.CompletedSubject(queue.Both), subject == queue.CompletedSubject(queue.Route(d.tier)):
		return true
	}
	return subject == queue.RedriveSubject(d.tier)
}

// ready returns what may be delivered now: redeliveries before new messages, as JetStream does.
func (d *durable) ready(all []*stored, now time.Time) []*stored {
	var again, fresh []*stored
	for _, s := range all {
		p := d.of[s.seq]
		switch {
		case !d.takes(s.subject) || p != nil && p.acked:
		case p == nil:
			fresh = append(fresh, s)
		case p.hand != nil && now.After(p.until), p.hand == nil && !now.Before(p.free):
			again = append(again, s)
		}
	}
	slices.SortStableFunc(again, func(a, b *stored) int { return cmp.Compare(d.of[a.seq].since(), d.of[b.seq].since()) })
	return append(again, fresh...)
}

func (p *pending) since() int64 {
	if p.hand != nil {
		return p.until.UnixNano()
	}
	return p.free.UnixNano()
}

// consumer is a durable as one process sees it.
type consumer struct {
	jetstream.Consumer
	process *process
	durable *durable
}

// Consumer implements jetstream.StreamConsumerManager.
func (j *js) Consumer(_ context.Context, _, name string) (jetstream.Consumer, error) {
	return &consumer{process: j.process, durable: j.model.durables[name]}, nil
}

// FetchNoWait implements jetstream.Consumer: what the model has put ready for this process.
func (c *consumer) FetchNoWait(n int) (jetstream.MessageBatch, error) {
	m := c.process.model
	m.mu.Lock()
	defer m.mu.Unlock()
	b := &batch{ch: make(chan jetstream.Msg, len(c.process.granted))}
	if c.durable.lane == queue.Backfill {
		n = min(n, len(c.process.granted))
		for _, msg := range c.process.granted[:n] {
			b.ch <- msg
		}
		c.process.granted = c.process.granted[n:]
	}
	close(b.ch)
	return b, nil
}

// Fetch implements jetstream.Consumer: the request stands until the model answers it, or the process is told to stop. That
// a real one expires each second makes no difference but the cost.
func (c *consumer) Fetch(n int, _ ...jetstream.FetchOpt) (jetstream.MessageBatch, error) {
	m := c.process.model
	m.mu.Lock()
	defer m.mu.Unlock()
	b := &batch{ch: make(chan jetstream.Msg, n), room: n, since: m.at}
	if c.process.stopping || m.isDead(c.process) {
		close(b.ch)
		return b, nil
	}
	c.process.fetch = b
	c.process.asks(n)
	return b, nil
}

// batch is the answer to a pull request.
type batch struct {
	jetstream.MessageBatch
	ch    chan jetstream.Msg
	room  int
	since int // the operation in which it was asked for
}

// Messages implements jetstream.MessageBatch.
func (b *batch) Messages() <-chan jetstream.Msg { return b.ch }

// Error implements jetstream.MessageBatch.
func (b *batch) Error() error { return nil }

// endFetch answers the process's standing pull request with these messages. The lock is held.
func (p *process) endFetch(msgs ...*parcel) {
	if p.fetch == nil {
		return
	}
	for _, msg := range msgs {
		p.fetch.ch <- msg
	}
	close(p.fetch.ch)
	p.fetch = nil
}

// deliver answers the process's pull request with up to n messages of a lane.
func (m *model) deliver(p *process, lane queue.Lane, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.durables[queue.ConsumerName(p.tier, lane)]
	ready := d.ready(m.recordings.all, time.Now())
	if p.fetch == nil || len(ready) == 0 {
		return
	}
	var msgs []*parcel
	for _, s := range ready[:min(n, len(ready), p.fetch.room)] {
		msgs = append(msgs, m.hold(p, d, s))
	}
	if lane == queue.Backfill {
		p.granted = msgs
		p.endFetch()
		return
	}
	p.endFetch(msgs...)
}

// hold gives the message to the process.
func (m *model) hold(p *process, d *durable, s *stored) *parcel {
	held := d.of[s.seq]
	if held == nil {
		held = &pending{}
		d.of[s.seq] = held
	}
	held.count++
	h := m.newHand(p, d.lane, s, held.count)
	held.hand, held.until = h, time.Now().Add(queue.AckWait)
	m.note("%s: delivered by %s", h, d.lane)
	return &parcel{model: m, durable: d, stored: s, pending: held, hand: h, count: held.count}
}

// parcel is a delivery.
type parcel struct {
	jetstream.Msg
	model   *model
	durable *durable
	stored  *stored
	pending *pending
	hand    *hand
	count   int
}

// Metadata implements jetstream.Msg.
func (g *parcel) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{
		Stream: queue.Recordings, NumDelivered: uint64(g.count), Timestamp: g.stored.at, Sequence: jetstream.SequencePair{Stream: g.stored.seq},
	}, nil
}

// Data implements jetstream.Msg.
func (g *parcel) Data() []byte { return g.stored.body }

// Headers implements jetstream.Msg.
func (g *parcel) Headers() nats.Header { return g.stored.header }

// Subject implements jetstream.Msg.
func (g *parcel) Subject() string { return g.stored.subject }

// InProgress implements jetstream.Msg. A frozen process says nothing.
func (g *parcel) InProgress() error {
	g.model.mu.Lock()
	defer g.model.mu.Unlock()
	if g.pending.hand == g.hand && !g.hand.process.frozen.Load() && !g.model.isDead(g.hand.process) {
		g.pending.until = time.Now().Add(queue.AckWait)
	}
	return nil
}

// DoubleAck implements jetstream.Msg.
func (g *parcel) DoubleAck(ctx context.Context) error {
	g.hand.ended = true
	return g.model.step(context.WithValue(ctx, handKey{}, g.hand), seam{op: "ack", lost: errNoAnswer, effect: func() error {
		g.model.acknowledged(g)
		g.model.mu.Lock()
		defer g.model.mu.Unlock()
		g.pending.acked, g.pending.hand = true, nil
		return nil
	}})
}

// Ack implements jetstream.Msg.
func (g *parcel) Ack() error {
	g.model.breach("every terminal acknowledgement is confirmed by the server", "%s: acknowledged without waiting", g.hand)
	return nil
}

// Term implements jetstream.Msg.
func (g *parcel) Term() error {
	g.model.breach("no message falls out silently", "%s: terminated", g.hand)
	return nil
}

// Nak implements jetstream.Msg.
func (g *parcel) Nak() error { return g.NakWithDelay(0) }

// NakWithDelay implements jetstream.Msg. Waits are rounded up to a power of two seconds, as no two of the schedule's steps
// have the same: their jitter would make a run impossible to repeat.
func (g *parcel) NakWithDelay(after time.Duration) error {
	g.model.mu.Lock()
	defer g.model.mu.Unlock()
	if g.model.isDead(g.hand.process) || g.pending.hand != g.hand {
		return nil
	}
	round := time.Duration(0)
	for round = 0; round < after; round = max(time.Second, 2*round) {
	}
	g.pending.hand, g.pending.free = nil, time.Now().Add(round)
	return nil
}
