package lease

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap/zaptest"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// account is this package's on the test server.
const account = "test36"

// until waits for a condition.
func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.After(20 * time.Second); !met(); {
		select {
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// leases makes the bucket, in which a lease lapses after age.
func leases(t *testing.T, js jetstream.JetStream, age time.Duration) {
	t.Helper()
	c := jetstream.KeyValueConfig{Bucket: queue.Leases, History: 1, Storage: jetstream.FileStorage, TTL: age}
	if _, err := js.CreateKeyValue(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// member is an instance that is present until it leaves or dies.
type member struct {
	*Presence
	leave func() // as at SIGTERM
	die   func() // as by kill -9: the lease is left behind
}

// join lets an instance be present, renewing quickly.
func join(t *testing.T, kind, name string) *member {
	t.Helper()
	nc, err := nats.Connect(testenv.Need(t, testenv.NATSURL), nats.UserInfo(account, testenv.NATSPassword))
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	m := &member{Presence: NewPresence(nc, js, kind, name, zaptest.NewLogger(t))}
	m.renew, m.recount = 300*time.Millisecond, 100*time.Millisecond
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() { defer close(ended); m.Run(ctx) }()
	m.leave = func() { stop(); <-ended }
	m.die = func() { nc.Close(); m.leave() }
	t.Cleanup(m.die)
	return m
}

// count waits until each of them counts n.
func count(t *testing.T, n int, all ...*member) {
	t.Helper()
	until(t, "all count the live ones", func() bool {
		for _, m := range all {
			if m.Live() != n || m.Check(t.Context()) != nil {
				return false
			}
		}
		return true
	})
}

func TestInstancesCountEachOther(t *testing.T) {
	_, js := testenv.Account(t, account)
	leases(t, js, 2*time.Second)
	a := join(t, "ingress", "host-a")
	count(t, 1, a)
	b, c := join(t, "ingress", "host-b"), join(t, "ingress", "host-c")
	join(t, "other", "host-d") // another kind, of which they know nothing
	count(t, 3, a, b, c)
	b.leave()
	count(t, 2, a, c) // at once: it took its key back
	died := time.Now()
	c.die()
	count(t, 1, a)
	if took := time.Since(died); took < time.Second {
		t.Errorf("one that died was counted out after %v, before its lease had lapsed", took)
	}
	again := join(t, "ingress", "host-c")
	count(t, 2, a, again)
}

func TestWithoutTheBucketTheLastCountStands(t *testing.T) {
	_, js := testenv.Account(t, account)
	a := join(t, "ingress", "host-a")
	until(t, "it says that there is no bucket", func() bool { return a.Check(t.Context()) != nil })
	if a.Live() != 1 {
		t.Errorf("alone, and counts %d", a.Live())
	}
	leases(t, js, 2*time.Second)
	b := join(t, "ingress", "host-b")
	count(t, 2, a, b)
	if err := js.DeleteKeyValue(t.Context(), queue.Leases); err != nil {
		t.Fatal(err)
	}
	until(t, "it says that there is no bucket", func() bool { return a.Check(t.Context()) != nil && b.Check(t.Context()) != nil })
	if a.Live() != 2 || b.Live() != 2 {
		t.Errorf("they count %d and %d", a.Live(), b.Live())
	}
	leases(t, js, time.Minute)
	count(t, 2, a, b) // they put their keys back by themselves
}

func TestALeaseThatSomebodyDeletedIsPutBack(t *testing.T) {
	nc, js := testenv.Account(t, account)
	leases(t, js, time.Minute)
	a, b := join(t, "ingress", "host-a"), join(t, "ingress", "host-b")
	count(t, 2, a, b)
	bucket := queue.NewBucket(nc, js, queue.Leases)
	if err := bucket.Drop(t.Context(), "ingress.host-a"); err != nil {
		t.Fatal(err)
	}
	until(t, "the key is there again", func() bool {
		v, err := bucket.Values(t.Context(), "ingress.host-a")
		return err == nil && len(v) == 1
	})
}
