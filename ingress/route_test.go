package main_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

// board is an ingress, and the board that it watches.
type board struct {
	*ingress
	*queue.Board
	js   jetstream.JetStream
	sent int
}

func watching(t *testing.T, account string, env ...string) *board {
	t.Helper()
	nc, js := testenv.Account(t, account)
	provision(t, js, 64<<20)
	return &board{ingress: run(t, testenv.Need(t, testenv.NATSURL), account, env...).ready(), Board: queue.NewBoard(nc, js), js: js}
}

// must ends the test where err is not nil.
func (b *board) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// next sends a new recording, which must be accepted, and returns the subject that it came to.
func (b *board) next(more string) string {
	b.t.Helper()
	b.sent++
	if a := b.webhook(body(fmt.Sprintf("rec-%d", b.sent), more)); a.Code != "accepted" {
		b.t.Fatalf("got %d %s", a.status, a.Code)
	}
	s, err := b.js.Stream(b.t.Context(), queue.Recordings)
	b.must(err)
	msg, err := s.GetMsg(b.t.Context(), uint64(b.sent))
	b.must(err)
	return strings.TrimPrefix(msg.Subject, "recordings.completed.")
}

// soon sends recordings until one goes that way, at most the contract's three seconds after now; five more must follow it.
func (b *board) soon(what, route string) {
	b.t.Helper()
	began := time.Now()
	until(b.t, what+": to "+route, func() bool { return b.next("") == route })
	if took := time.Since(began); took > 3*time.Second {
		b.t.Errorf("%s: %v until recordings went to %s", what, took, route)
	}
	for range 5 {
		if got := b.next(""); got != route {
			b.t.Errorf("%s: to %s, want %s", what, got, route)
		}
	}
}

var (
	sick = tier.View{State: tier.Degraded, Reason: "s3 put: 503"}
	well = tier.View{State: tier.Healthy, Weight: 1}
)

func TestRecordingsGoWhereTheBoardSays(t *testing.T) {
	b := watching(t, "test18")
	ctx := t.Context()
	b.soon("nobody says anything", "both")
	b.must(b.Tell(ctx, tier.Primary, "w-1", sick))
	b.soon("primary is degraded", "backup")
	if code, ready := b.get("/readyz"); code != http.StatusOK ||
		!strings.Contains(ready, `{"name":"tiers","ok":false,"decides":false,"detail":"primary gets nothing live: 1 of 1 workers: degraded (s3 put: 503)"}`) {
		t.Errorf("readyz: %d %s", code, ready)
	}
	if _, metrics := b.get("/metrics"); !strings.Contains(metrics, `twinreel_tier_weight{tier="primary"} 0`) || !strings.Contains(metrics, `twinreel_tier_weight{tier="backup"} 1`) {
		t.Error("the metrics do not say so")
	}
	if !regexp.MustCompile(`"level":"warn",.*"msg":"routes changed","primary":0,"backup":1,"primary_why":"1 of 1 workers: degraded`).MatchString(b.log()) {
		t.Error("the log does not say so")
	}
	b.must(b.Tell(ctx, tier.Backup, "w-2", sick))
	b.soon("both are", "both")
	b.must(b.Tell(ctx, tier.Primary, "w-1", well))
	b.soon("primary has recovered", "primary")
	b.must(b.Tell(ctx, tier.Backup, "w-2", well))
	b.soon("backup as well", "both")
	b.must(b.Pause(ctx, tier.Primary, tier.Pause{Reason: "move", By: "ada"}))
	b.soon("primary is paused", "backup")
	b.must(b.Resume(ctx, tier.Primary))
	b.soon("primary is resumed", "both")
	b.must(b.Withdraw(ctx, tier.Primary, "w-1"))
	b.must(b.Pause(ctx, tier.Primary, tier.Pause{}))
	b.soon("primary is paused and its worker gone", "backup")
	b.must(b.js.DeleteKeyValue(ctx, queue.Tiers))
	b.soon("the board is gone", "both")
	provision(t, b.js, 64<<20)
	b.must(b.Tell(ctx, tier.Backup, "w-2", sick))
	b.soon("there is a new board", "primary")
	b.stop()
}

func TestARestartedIngressKnowsTheBoard(t *testing.T) {
	b := watching(t, "test18")
	b.must(b.Pause(t.Context(), tier.Primary, tier.Pause{Reason: "move", By: "ada"}))
	b.soon("primary is paused", "backup")
	b.stop()
	b.ingress = run(t, testenv.Need(t, testenv.NATSURL), "test18").ready()
	b.soon("it still is", "backup")
}

func TestOverTheRequestLimitRecordingsGoToBackup(t *testing.T) {
	b := watching(t, "test19", "TWINREEL_PRIMARY_REQUEST_LIMIT=16", "TWINREEL_PRIMARY_LIMIT_SHARE=0.5")
	size := fmt.Sprintf(`,"size":%d`, 8<<30) // 1,028 requests: two minutes' worth
	if got := b.next(size); got != "both" {
		t.Errorf("more than a full bucket: to %s, want both", got)
	}
	for range 10 {
		if got := b.next(`,"size":1`); got != "backup" {
			t.Errorf("over the limit: to %s, want backup", got)
		}
	}
	b.must(b.Pause(t.Context(), tier.Backup, tier.Pause{Reason: "move", By: "ada"}))
	b.soon("over the limit, but backup takes nothing", "primary")
	if _, metrics := b.get("/metrics"); !regexp.MustCompile(`twinreel_primary_over_limit_total [1-9]`).MatchString(metrics) {
		t.Error("the metrics do not say so")
	}
}

func TestLiveIngressesKnowOfEachOther(t *testing.T) {
	a := watching(t, "test19")
	bucket := func() int {
		kv, err := a.js.KeyValue(t.Context(), queue.Leases)
		a.must(err)
		keys, err := kv.Keys(t.Context())
		if err != nil {
			return 0
		}
		for _, k := range keys {
			if !strings.HasPrefix(k, "ingress.") {
				t.Errorf("key %s", k)
			}
		}
		return len(keys)
	}
	until(t, "it holds a lease", func() bool { return bucket() == 1 })
	b := run(t, testenv.Need(t, testenv.NATSURL), "test19").ready()
	until(t, "there are two leases", func() bool { return bucket() == 2 })
	for _, p := range []*ingress{a.ingress, b} {
		until(t, "it counts two", func() bool { return strings.Contains(p.log(), `"msg":"live instances","kind":"ingress","live":2`) })
		if _, ready := p.get("/readyz"); !strings.Contains(ready, `{"name":"leases","ok":true,"decides":false`) {
			t.Errorf("readyz: %s", ready)
		}
	}
	b.stop()
	until(t, "the lease of one that stopped is gone", func() bool { return bucket() == 1 })
	until(t, "the other counts itself alone", func() bool { return strings.Contains(a.log(), `"msg":"live instances","kind":"ingress","live":1`) })
}

func TestAFlappingViewLosesAndDoublesNothing(t *testing.T) {
	b := watching(t, "test17")
	stop, ended := make(chan struct{}), make(chan struct{})
	var flips atomic.Int32
	go func() {
		defer close(ended)
		tick := time.NewTicker(300 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			view := []tier.View{sick, well}[n%2]
			if b.Tell(t.Context(), tier.All()[n/2%2], "w-1", view) == nil {
				flips.Add(1)
			}
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	routes := map[string]int{}
	for flips.Load() < 20 {
		routes[b.next(`,"eventId":"a"`)]++
		if a := b.webhook(body(fmt.Sprintf("rec-%d", b.sent), `,"eventId":"a"`)); a.Code != "duplicate" {
			t.Errorf("sent again, when another way may be right: got %d %s", a.status, a.Code)
		}
	}
	close(stop)
	<-ended
	if n := stored(t, b.js); n != uint64(b.sent) {
		t.Errorf("%d messages of %d recordings", n, b.sent)
	}
	if len(routes) < 2 {
		t.Errorf("all went one way: %v", routes)
	}
}
