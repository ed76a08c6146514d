package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/pkg/queue"
)

// Of the backlog row: how many events wait, and how many recordings the workers get done of them in a turn.
const (
	little = 1_000
	much   = 1_000_000
	turn   = 900
)

// stalled is how long filling waits for a server that has fallen behind.
const stalled = time.Minute

// fill puts a million events into the second world's stream, on a server that does not sync each of them.
func fill(ctx context.Context, b *bed) error {
	return errors.Join(b.stack.NATS.Stop(), b.stack.Sync(false), b.stack.NATS.Start(ctx), fillUnsynced(ctx, b), b.stack.NATS.Stop(), b.stack.Sync(true), b.stack.NATS.Start(ctx))
}

func fillUnsynced(ctx context.Context, b *bed) error {
	for side, n := range [2]int{little, int(much * min(1, b.Scale))} {
		w, err := b.stack.NewWorld(ctx)
		if err != nil {
			return err
		}
		b.worlds[side] = w
		f, err := b.fleet(w)
		if err != nil {
			return err
		}
		if err := f.Provision(ctx); err != nil {
			return err
		}
		q, err := connect(w)
		if err != nil {
			return err
		}
		fmt.Fprintf(b.Say, "filling the stream with %d events …\n", n)
		err = q.fill(ctx, b, side, n)
		q.nc.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// fill publishes n events without waiting for each.
func (q *streams) fill(ctx context.Context, b *bed, side, n int) error {
	js, err := jetstream.New(q.nc, jetstream.WithPublishAsyncMaxPending(4000))
	if err != nil {
		return err
	}
	for i := range n {
		name := fmt.Sprintf("w%d-%d", side, i)
		e := recording(name, b.feedURL+"/media/16384/"+name+".wav", 16*kib)
		body, err := e.Encode()
		if err != nil {
			return err
		}
		if _, err := js.PublishAsync(queue.CompletedSubject(queue.Both), body, jetstream.WithMsgID(e.ID), jetstream.WithStallWait(stalled)); err != nil {
			return fmt.Errorf("fill the stream: %w", err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// backlog lets the workers do a turn's recordings of those that wait, and then stops them.
func backlog(ctx context.Context, b *bed, side int) (s Side, err error) {
	f, err := b.fleet(b.worlds[side])
	if err != nil {
		return Side{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if side == 0 { // what a turn takes away is made good, so that a thousand wait again
		if err := b.refill(ctx); err != nil {
			return Side{}, err
		}
	}
	q, err := connect(b.worlds[side])
	if err != nil {
		return Side{}, err
	}
	defer q.nc.Close()
	from, err := q.floors(ctx)
	if err != nil {
		return Side{}, err
	}
	programs, err := b.workers(ctx, f, 1)
	if err != nil {
		return Side{}, err
	}
	m, err := b.measure(ctx, pids(programs))
	if err != nil {
		return Side{}, err
	}
	started, err := q.floors(ctx)
	if err != nil {
		return Side{}, err
	}
	if err := q.reached(ctx, from+turn); err != nil {
		return Side{}, err
	}
	ended, err := q.floors(ctx)
	if err != nil {
		return Side{}, err
	}
	s, err = m.end(ctx, load{16 * kib, int(ended - started)})
	for _, p := range programs {
		s.PeakMiB[tierOf(p)] = float64(p.PeakRSS()) / mib
	}
	// Not killed: what a dead worker had in hand would hold the next turn's floor for an AckWait.
	return s, errors.Join(err, each(programs, (*fleet.Program).Stop))
}

// refill tops the small world's stream up to its thousand.
func (b *bed) refill(ctx context.Context) error {
	q, err := connect(b.worlds[0])
	if err != nil {
		return err
	}
	defer q.nc.Close()
	b.turns++
	var links []string
	for i := range turn {
		links = append(links, fmt.Sprintf("%s/media/16384/again-%d-%d.wav", b.feedURL, b.turns, i))
	}
	return q.publish(ctx, links, 16*kib, fmt.Sprint("again-", b.turns))
}

// floors is the lower of both tiers' ack floors, in messages of the stream.
func (q *streams) floors(ctx context.Context) (least uint64, err error) {
	for i, name := range []string{"primary", "backup"} {
		c, err := q.js.Consumer(ctx, queue.Recordings, name)
		if err != nil {
			return 0, err
		}
		floor := c.CachedInfo().AckFloor.Stream
		if i == 0 || floor < least {
			least = floor
		}
	}
	return least, nil
}

// reached waits until both tiers have acknowledged everything up to seq.
func (q *streams) reached(ctx context.Context, seq uint64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		at, err := q.floors(ctx)
		if err != nil || at >= seq {
			return err
		}
		select {
		case <-time.After(rarely / 4):
		case <-ctx.Done():
			return fmt.Errorf("only %d of %d are done: %w", at, seq, ctx.Err())
		}
	}
}
