package lease

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// bucket returns JetStream with a bucket whose entries lapse after life.
func bucket(t *testing.T, life time.Duration) jetstream.JetStream {
	t.Helper()
	_, js := testenv.Account(t, account)
	leases(t, js, life)
	return js
}

// candidate is one instance that would lead.
type candidate struct {
	*Leader
	leads atomic.Bool
	stop  func() // ends it, and waits
}

// stand lets an instance try to lead.
func stand(t *testing.T, js jetstream.JetStream, name string, life time.Duration, set ...func(*Leader)) *candidate {
	t.Helper()
	c := &candidate{Leader: NewLeader(js, name, zap.NewNop())}
	for _, f := range set {
		f(c.Leader)
	}
	c.life, c.renew, c.retry = life, life/4, life/20
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Run(ctx, func(ctx context.Context) {
			c.leads.Store(true)
			<-ctx.Done()
			c.leads.Store(false)
		})
	}()
	c.stop = func() { cancel(); <-ended }
	t.Cleanup(c.stop)
	return c
}

func TestOneLeadsAndTheOtherTakesOverAtOnceWhenItStops(t *testing.T) {
	js := bucket(t, time.Minute) // nothing lapses here
	a := stand(t, js, "a", time.Minute)
	until(t, "a leads", a.leads.Load)
	b := NewLeader(js, "b", zap.NewNop())
	if _, won := b.win(t.Context()); won {
		t.Fatal("b leads, too")
	}
	if err := b.Check(t.Context()); err == nil || err.Error() != "stands by; a leads" || a.Check(t.Context()) != nil {
		t.Errorf("b says %v, a says %v", err, a.Check(t.Context()))
	}
	a.stop()
	term, won := b.win(t.Context())
	if !won || a.leads.Load() {
		t.Fatal("the lease was not given back")
	}
	var v leaderValue
	if json.Unmarshal(term.value, &v) != nil || v.Instance != "b" || b.Check(t.Context()) != nil {
		t.Errorf("got %s", term.value)
	}
}

// given a standby that leads, when another comes that is none, then that one leads, and the standby stops; another standby waits;
// and when it ends the standby leads again.
func TestAStandbyLeadsOnlyWhileNobodyElseDoes(t *testing.T) {
	js := bucket(t, time.Minute) // nothing lapses here
	first := stand(t, js, "first", 4*time.Second, (*Leader).Stand)
	until(t, "the standby leads alone", first.leads.Load)
	second := NewLeader(js, "second", zap.NewNop())
	second.Stand()
	if _, won := second.win(t.Context()); won {
		t.Fatal("a standby takes the lead from another")
	}
	other := stand(t, js, "other", 4*time.Second)
	until(t, "the other leads, and the standby does not", func() bool { return other.leads.Load() && !first.leads.Load() })
	until(t, "the standby knows who leads", func() bool {
		err := first.Check(t.Context())
		return err != nil && err.Error() == "stands by; other leads"
	})
	other.stop()
	until(t, "the standby leads again", first.leads.Load)
}

func TestALeaseIsRenewedPastItsLife(t *testing.T) {
	const life = time.Second
	js := bucket(t, life)
	a := stand(t, js, "a", life)
	until(t, "a leads", a.leads.Load)
	kv, err := js.KeyValue(t.Context(), queue.Leases)
	if err != nil {
		t.Fatal(err)
	}
	first, err := kv.Get(t.Context(), leaderKey)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "two lives have passed", func() bool {
		e, err := kv.Get(t.Context(), leaderKey)
		if err != nil || !a.leads.Load() {
			t.Fatalf("the lease lapsed: %v", err)
		}
		return e.Created().Sub(first.Created()) > 2*life
	})
}

func TestALeaderWhoseLeaseIsTakenStopsAtOnce(t *testing.T) {
	js := bucket(t, time.Minute)
	a := stand(t, js, "a", 2*time.Second)
	until(t, "a leads", a.leads.Load)
	kv, err := js.KeyValue(t.Context(), queue.Leases)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), leaderKey, []byte(`{"instance":"b"}`)); err != nil {
		t.Fatal(err)
	}
	until(t, "a has stopped", func() bool { return !a.leads.Load() })
	a.stop()
	if e, err := kv.Get(t.Context(), leaderKey); err != nil || string(e.Value()) != `{"instance":"b"}` {
		t.Errorf("b's lease must stand: %v, %v", e, err)
	}
}

// The bucket is away: nobody answers, and nobody says that the lease is another's.
func TestALeaderThatCannotRenewStopsBeforeItsLeaseLapses(t *testing.T) {
	const life = 2 * time.Second
	js := bucket(t, time.Minute)
	a := stand(t, js, "a", life)
	until(t, "a leads", a.leads.Load)
	if err := js.DeleteKeyValue(t.Context(), queue.Leases); err != nil {
		t.Fatal(err)
	}
	gone := time.Now()
	until(t, "a has stopped", func() bool { return !a.leads.Load() })
	if took := time.Since(gone); took > life+time.Second {
		t.Errorf("it led for %v without a lease", took)
	}
}

func TestALostAnswerIsNoLostLease(t *testing.T) {
	js := bucket(t, time.Minute)
	a := stand(t, js, "a", 2*time.Second)
	until(t, "a leads", a.leads.Load)
	kv, err := js.KeyValue(t.Context(), queue.Leases)
	if err != nil {
		t.Fatal(err)
	}
	lost, err := kv.Put(t.Context(), leaderKey, []byte(`{"instance":"a"}`)) // a renewal whose answer a did not get
	if err != nil {
		t.Fatal(err)
	}
	until(t, "a has renewed it", func() bool {
		e, err := kv.Get(t.Context(), leaderKey)
		return err == nil && e.Revision() > lost
	})
	if !a.leads.Load() {
		t.Error("it stopped leading")
	}
}

func TestOfManyOneLeads(t *testing.T) {
	const life = 2 * time.Second
	js := bucket(t, time.Minute)
	all := make([]*candidate, 5)
	for i := range all {
		all[i] = stand(t, js, string(rune('a'+i)), life)
	}
	for len(all) > 0 {
		until(t, "one leads", func() bool { return leading(all) == 1 })
		for i, c := range all {
			if c.leads.Load() {
				c.stop()
				all = append(all[:i], all[i+1:]...)
				break
			}
		}
	}
}

func leading(all []*candidate) (n int) {
	for _, c := range all {
		if c.leads.Load() {
			n++
		}
	}
	return n
}
