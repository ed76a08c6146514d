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
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
)

// streamsRows measure what bounds the front door, what an installation that outgrows one stream would gain, and what replicas
// cost.
func streamsRows() []Row {
	const what = "events of 600 bytes published by 256 at once, each stored and synced: into "
	return []Row{
		{Name: "streams-4", What: what + "four streams of one server against one", Sides: [2]string{"one stream", "four streams"}, play: intoStreams},
		{
			Name: "streams-r3", What: what + "one stream of three replicas, whose three servers share this machine, against one of one",
			Sides: [2]string{"one replica", "three replicas"}, play: intoReplicas,
		},
	}
}

// intoStreams publishes into one stream or into four, in turn.
func intoStreams(ctx context.Context, b *bed, side int) (Side, error) {
	return b.publish(ctx, b.stack.NATSAccess, [2]int{1, 4}[side], 1)
}

// intoReplicas publishes into one stream of one replica or of three, in turn.
func intoReplicas(ctx context.Context, b *bed, side int) (Side, error) {
	if b.cluster == nil {
		c, err := b.stack.StartCluster(ctx)
		if err != nil {
			return Side{}, err
		}
		b.cluster = c
	}
	if side == 0 {
		return b.publish(ctx, b.stack.NATSAccess, 1, 1)
	}
	return b.publish(ctx, b.cluster.Access, 1, len(b.cluster.Nodes))
}

// publish publishes into so many streams at once.
func (b *bed) publish(ctx context.Context, to stack.NATSAccess, streams, replicas int) (Side, error) {
	const publishers = 256
	nc, err := nats.Connect(to.URL, nats.UserInfo(to.User, to.Password))
	if err != nil {
		return Side{}, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return Side{}, err
	}
	b.turns++
	subjects := make([]string, streams)
	for i := range subjects {
		name := fmt.Sprintf("bench-%d-%d", b.turns, i)
		if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name}, Replicas: replicas}); err != nil {
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
