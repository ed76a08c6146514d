package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/twinreel/twinreel/deploy/local/internal/floor"
)

// streamsRow measures what bounds the front door, and what an installation that outgrows one stream would gain.
func streamsRow() Row {
	return Row{
		Name: "streams-4", What: "events of 600 bytes published by 256 at once, each stored and synced: into four streams of one server against one",
		Sides: [2]string{"one stream", "four streams"}, play: intoStreams,
	}
}

// intoStreams publishes into one stream or into four, in turn.
func intoStreams(ctx context.Context, b *bed, side int) (Side, error) {
	const publishers = 256
	nc, err := nats.Connect(b.stack.NATSAccess.URL, nats.UserInfo(b.stack.NATSAccess.User, b.stack.NATSAccess.Password))
	if err != nil {
		return Side{}, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return Side{}, err
	}
	b.turns++
	subjects := make([]string, [2]int{1, 4}[side])
	for i := range subjects {
		name := fmt.Sprintf("bench-%d-%d", b.turns, i)
		if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name}}); err != nil {
			return Side{}, fmt.Errorf("create stream %s: %w", name, err)
		}
		subjects[i] = name
	}
	n := max(publishers, int(24000*b.Scale))
	event, started := make([]byte, 600), time.Now()
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range publishers {
		g.Go(func() error {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				id := floor.Sign("", fmt.Appendf(nil, "%d", i)) // as long as the webhooks' floor's
				if _, err := js.Publish(ctx, subjects[i%len(subjects)], event, jetstream.WithMsgID(id)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return Side{}, err
	}
	return Side{Seconds: time.Since(started).Seconds(), Done: float64(n)}, nil
}
