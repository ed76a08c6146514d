package stack_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/twinreel/twinreel/deploy/local/internal/stack"
)

// eventually asks until the answer is nil.
func eventually(t *testing.T, what string, ask func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// given a stream of three replicas, when the node that leads it is killed, then another leads, and what was acknowledged is
// there; started again, the dead one catches up.
func aClusterSurvivesItsLeader(t *testing.T, s *stack.Stack) {
	ctx := t.Context()
	c, err := s.StartCluster(ctx)
	if err != nil {
		t.Fatal(err)
	}
	login := c.Access
	nc, err := nats.Connect(login.TLSURL, nats.RootCAs(login.CA), nats.UserInfo(login.User, login.Password), nats.MaxReconnects(-1),
		nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "KEPT", Subjects: []string{"kept"}, Replicas: 3}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateConsumer(ctx, "KEPT", jetstream.ConsumerConfig{Durable: "reader", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(ctx, "kept", []byte("before")); err != nil {
		t.Fatal(err)
	}
	first, err := c.Leader(ctx, "KEPT")
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another node leads", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		_, err := js.Publish(ctx, "kept", []byte("after"), jetstream.WithMsgID("one"))
		return err
	})
	if next, err := c.Leader(ctx, "KEPT"); err != nil || next == first {
		t.Errorf("led by %v, %v", next, err)
	}
	if c.Whole(ctx) == nil {
		t.Error("the cluster is said to be whole although a node is dead")
	}
	if err := first.Start(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is whole again", c.Whole)
	for _, node := range c.Nodes {
		eventually(t, node.Name+" leads everything", func(ctx context.Context) error { return c.LeadFrom(ctx, node) })
		if leads, err := c.Leader(ctx, "KEPT"); err != nil || leads != node {
			t.Errorf("led by %v, %v; want %s", leads, err, node.Name)
		}
	}
	stream, err := js.Stream(ctx, "KEPT")
	if err != nil || stream.CachedInfo().State.Msgs != 2 {
		t.Fatalf("the stream: %v, %+v", err, stream.CachedInfo().State)
	}
}

// given a Redis with Sentinels, when the server that leads is killed, then the other does, by the Sentinels' word.
func aRedisFailsOver(t *testing.T, s *stack.Stack) {
	ctx := t.Context()
	r, err := s.StartSentinels(ctx)
	if err != nil {
		t.Fatal(err)
	}
	first, err := r.Leader(ctx)
	if err != nil || first != r.Servers[0] {
		t.Fatalf("the first leader: %v", err)
	}
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the follower leads", func(ctx context.Context) error {
		next, err := r.Leader(ctx)
		if err != nil {
			return err
		}
		client := redis.NewClient(&redis.Options{Addr: next.Addr, MaxRetries: -1})
		defer client.Close()
		return client.Set(ctx, "written", "yes", 0).Err()
	})
	if err := first.Start(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first server follows", func(ctx context.Context) error {
		client := redis.NewClient(&redis.Options{Addr: first.Addr, MaxRetries: -1})
		defer client.Close()
		return client.Get(ctx, "written").Err()
	})
}
