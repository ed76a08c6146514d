package chaos

import (
	"context"
	"errors"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
	"github.com/twinreel/twinreel/pkg/queue"
)

// clusterRows are what can go wrong with several servers of a kind.
func clusterRows() []Row {
	replicated := map[string]string{"TWINREEL_NATS_REPLICAS": "3"}
	return []Row{
		{
			Name: "nats-leader-killed", Group: "Cluster", on: alone, settings: replicated, servers: onCluster,
			Injected: "three NATS servers, R3: the one that leads RECORDINGS killed (-9) under load, three times, and started again",
			Seen:     "every webhook is taken in the end, each event is there once", play: killLeaders,
		},
		{
			Name: "nats-quorum-lost", Group: "Cluster", on: alone, settings: replicated, servers: onCluster,
			Injected: "three NATS servers, R3: two of them frozen (SIGSTOP) under load for 8 s",
			Seen:     "no webhook is answered 200 that is not there afterwards, once", play: loseQuorum,
		},
		{
			Name: "redis-failover", Group: "Cluster", on: alone, servers: onSentinels,
			Injected: "two Redis servers and three Sentinels: the one that leads killed (-9) under load; the other takes over with what it has",
			Seen:     "nothing more", play: failRedisOver,
		},
		{
			Name: "operations", Group: "Operations", on: alone, manual: true, servers: onBoth,
			settings: map[string]string{"TWINREEL_NATS_REPLICAS": "3", "TWINREEL_RETRY_BASE": "500ms", "TWINREEL_RETRY_CAP": "5s"},
			platform: platform.Config{Retries: 3, RetryDelay: 15 * time.Second},
			Injected: "three retries 15 s apart, two instances of each program behind a balancer, R3, Sentinel: the NATS leader's death; every program replaced in turn, versions mixed; then one of each of everything lost at once (a zone)",
			Seen:     "every webhook is taken within its retries; p99 of the answers below 1 s", play: operate,
		},
	}
}

// onCluster puts the bed on a NATS cluster.
func onCluster(ctx context.Context, b *bed) (err error) {
	if b.cluster, err = b.stack.StartCluster(ctx); err == nil {
		b.world = b.cluster.World()
	}
	return err
}

// onSentinels puts it on a Redis that fails over.
func onSentinels(ctx context.Context, b *bed) (err error) {
	b.sentinels, err = b.stack.StartSentinels(ctx)
	return err
}

func onBoth(ctx context.Context, b *bed) error {
	return errors.Join(onCluster(ctx, b), onSentinels(ctx, b))
}

func killLeaders(ctx context.Context, b *bed) error {
	if err := b.warm(ctx); err != nil {
		return err
	}
	for range 3 {
		if err := errors.Join(b.send(ctx, few), pause(ctx, 200*time.Millisecond)); err != nil {
			return err
		}
		dead, err := b.killLeader(ctx)
		if err != nil {
			return err
		}
		if err := errors.Join(pause(ctx, 3*time.Second), dead.Start(ctx)); err != nil {
			return err
		}
	}
	return errors.Join(b.restAgain(ctx, "after the last was back"), b.onceEach(ctx))
}

// killLeader kills the server that leads RECORDINGS.
func (b *bed) killLeader(ctx context.Context) (dead *stack.Server, err error) {
	err = eventually(ctx, time.Minute, "RECORDINGS has a leader", func(ctx context.Context) (err error) {
		dead, err = b.cluster.Leader(ctx, queue.Recordings)
		return err
	})
	if err != nil {
		return nil, err
	}
	return dead, dead.Kill()
}

func loseQuorum(ctx context.Context, b *bed) error {
	if err := errors.Join(b.warm(ctx), b.send(ctx, few), pause(ctx, 100*time.Millisecond)); err != nil {
		return err
	}
	two := b.cluster.Nodes[:2]
	for _, n := range two {
		if err := n.Freeze(); err != nil {
			return err
		}
	}
	if err := errors.Join(b.send(ctx, few), pause(ctx, 8*time.Second)); err != nil {
		return err
	}
	for _, n := range two {
		if err := n.Thaw(); err != nil {
			return err
		}
	}
	return errors.Join(b.restAgain(ctx, "after both were thawed"), b.onceEach(ctx))
}

func failRedisOver(ctx context.Context, b *bed) error {
	if err := errors.Join(b.warm(ctx), b.send(ctx, few), pause(ctx, 100*time.Millisecond)); err != nil {
		return err
	}
	first, err := b.sentinels.Leader(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := errors.Join(first.Kill(), b.send(ctx, few)); err != nil {
		return err
	}
	other := func(ctx context.Context) error {
		next, err := b.sentinels.Leader(ctx)
		if err == nil && next == first {
			err = errors.New("it is still the dead one")
		}
		return err
	}
	if err := eventually(ctx, time.Minute, "another Redis leads", other); err != nil {
		return err
	}
	b.see("another led after %s", seconds(time.Since(start)))
	if err := errors.Join(b.restAgain(ctx, "after that"), first.Start(ctx), b.send(ctx, 4)); err != nil {
		return err
	}
	for _, p := range []*fleet.Program{b.primary, b.backup} {
		if err := eventually(ctx, 30*time.Second, p.Name+" reaches the new leader", reaches(p, "redis")); err != nil {
			return err
		}
	}
	return b.restAgain(ctx, "with the first one back")
}
