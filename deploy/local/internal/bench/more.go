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

// What lies between the workers and everything else in rows that are far away.
const (
	farMillis = 50      // each way
	farWindow = 4 * mib // what one connection has on its way at most: Linux's default for a sender
)

// across is the distance of far rows. The latency alone would not slow one connection down, since the proxy's own buffers
// are large; on a real path one brings a TCP window in each round trip.
func across(window int64) *distance {
	return &distance{Millis: farMillis, KiBps: window / kib * 1000 / (2 * farMillis)}
}

// farRows compare what is far away with one plain stream, one worker with several, and much waiting with little.
func farRows() []Row {
	return []Row{
		{
			Name: "copy-2GiB-far", What: "one recording of 2 GiB, source and sinks 50 ms away each way, a TCP window of 4 MiB for each connection",
			Sides: [2]string{"plain stream", "product"}, needs: needs{sinks: true, far: across(farWindow)}, play: copies(load{2 * gib, 1}),
			Bars: []Bar{{Figure: "ratio", AtLeast: 4}, {Figure: "peak MiB", AtMost: 200}},
		},
		{
			Name: "scale-4-far", What: "recordings of 64 KiB, source and sinks 50 ms away each way: four workers a tier against one",
			Sides: [2]string{"one worker", "four workers"}, needs: needs{sinks: true, far: &distance{Millis: farMillis}}, play: scale,
			Bars: []Bar{{Figure: "ratio", AtLeast: 3.5}},
		},
		{
			Name: "copy-5GiB-memory", What: "recordings of 5 GiB, two at once, into sinks: whether memory grows with size (first: 600 MiB)",
			Sides: [2]string{"600 MiB", "5 GiB"}, needs: needs{sinks: true}, play: memory,
			Bars: []Bar{{Figure: "peak MiB", AtMost: 200}, {Figure: "more MiB", AtMost: 16}}, Long: true,
		},
		{
			Name: "backlog-1M", What: "recordings of 16 KiB into sinks, with a million events waiting against a thousand",
			Sides: [2]string{"1 thousand", "1 million"}, needs: needs{sinks: true}, prepare: fill, play: backlog,
			Bars: []Bar{{Figure: "ratio", AtLeast: 0.95}, {Figure: "more MiB", AtMost: 16}}, Long: true,
		},
	}
}

// scale plays a load with one worker a tier, or with four.
func scale(ctx context.Context, b *bed, side int) (Side, error) {
	w, err := b.stack.NewWorld(ctx)
	if err != nil {
		return Side{}, err
	}
	b.turns++
	return b.product(ctx, w, load{64 * kib, 1500}.scaled(b.Scale), [2]int{1, 4}[side])
}

// memory plays loads of few large recordings.
func memory(ctx context.Context, b *bed, side int) (Side, error) {
	w, err := b.stack.NewWorld(ctx)
	if err != nil {
		return Side{}, err
	}
	b.turns++
	return b.product(ctx, w, [2]load{{600 * mib, 4}, {5 * gib, 2}}[side], 1)
}

// Of the backlog row: how many events wait, and how many recordings the workers get done of them in a turn.
const (
	little = 1_000
	much   = 1_000_000
	turn   = 900
)

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
		if _, err := js.PublishAsync(queue.CompletedSubject(queue.Both), body, jetstream.WithMsgID(e.ID)); err != nil {
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
	return s, errors.Join(err, each(programs, (*fleet.Program).Freeze), each(programs, (*fleet.Program).Kill))
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
