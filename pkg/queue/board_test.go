package queue_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap/zaptest"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

var (
	well  = tier.View{State: tier.Healthy, Weight: 1, Since: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), LatencyMs: 12}
	sick  = tier.View{State: tier.Degraded, Weight: 0, Reason: "s3 put: 503", ConsecutiveFailures: 3}
	pause = tier.Pause{Reason: "move", By: "ada", Since: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
)

// lapsing makes the board's bucket, as provisioned but for a shorter age.
func lapsing(t *testing.T, js jetstream.JetStream, age time.Duration) {
	t.Helper()
	c := jetstream.KeyValueConfig{Bucket: queue.Tiers, History: 1, Storage: jetstream.FileStorage, TTL: age, LimitMarkerTTL: max(age, time.Second)}
	if _, err := js.CreateKeyValue(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// watched is a board and one who watches it, over a connection that the test can cut.
type watched struct {
	t       *testing.T
	js      jetstream.JetStream
	board   *queue.Board
	watcher *queue.Watcher
	link    *link
}

func watch(t *testing.T, account string) *watched {
	t.Helper()
	nc, js := testenv.Account(t, account)
	w := &watched{t: t, js: js, board: queue.NewBoard(nc, js), link: newLink(t)}
	far, farJS, err := queue.Connect(queue.Config{
		URLs: []string{"nats://" + w.link.Addr().String()}, User: account, Password: settings.NewSecret(testenv.NATSPassword),
	}, "test", t.Name(), zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	w.watcher = queue.NewWatcher(queue.NewBoard(far, farJS), zaptest.NewLogger(t))
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() { defer close(ended); w.watcher.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended; far.Close() })
	return w
}

// soon waits until what is watched is as it should be, at most the contract's three seconds.
func (w *watched) soon(what string, is func(queue.Standings) bool) {
	w.t.Helper()
	began := time.Now()
	until(w.t, what, func() bool { return is(w.watcher.Standings()) })
	if took := time.Since(began); took > 3*time.Second {
		w.t.Errorf("%s: known after %v", what, took)
	}
}

// weighs says that the tiers have these weights.
func weighs(primary, backup float64) func(queue.Standings) bool {
	return func(s queue.Standings) bool { return s[tier.Primary].Weight() == primary && s[tier.Backup].Weight() == backup }
}

// told and the like are what a worker or an operator does, which must work.
func (w *watched) told(t tier.Tier, instance string, v tier.View) {
	w.t.Helper()
	w.must(w.board.Tell(w.t.Context(), t, instance, v))
}

func (w *watched) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestWhatIsToldOnTheBoardIsReadAndWatched(t *testing.T) {
	w := watch(t, "test02")
	if _, err := queue.Provision(t.Context(), w.js, small(), 1); err != nil {
		t.Fatal(err)
	}
	if s, err := w.board.Read(t.Context()); err != nil || len(s) != 2 || !weighs(1, 1)(s) {
		t.Errorf("an empty board: %+v, %v", s, err)
	}
	w.told(tier.Primary, "w-1", sick)
	w.told(tier.Primary, "w-2", well)
	w.soon("one of two is degraded", weighs(0.5, 1))
	w.must(w.board.Pause(t.Context(), tier.Backup, pause))
	w.soon("backup is paused", weighs(0.5, 0))
	s, err := w.board.Read(t.Context())
	if err != nil || s[tier.Primary].Views["w-1"] != sick || s[tier.Primary].Views["w-2"] != well || *s[tier.Backup].Pause != pause {
		t.Errorf("read: %+v, %v", s, err)
	}
	w.must(w.board.Withdraw(t.Context(), tier.Primary, "w-1"))
	w.soon("the degraded one is gone", weighs(1, 0))
	w.must(w.board.Resume(t.Context(), tier.Backup))
	w.soon("backup is resumed", weighs(1, 1))
	w.must(w.board.Resume(t.Context(), tier.Backup)) // nothing to resume
}

func TestAViewLapsesOnTheServerAndAPauseDoesNot(t *testing.T) {
	w := watch(t, "test02")
	lapsing(t, w.js, 2*time.Second)
	w.must(w.board.Pause(t.Context(), tier.Backup, pause))
	w.told(tier.Primary, "w-1", sick)
	w.soon("both are told", weighs(0, 0))
	until(t, "the view lapses", func() bool { return weighs(1, 0)(w.watcher.Standings()) })
	w.told(tier.Primary, "w-1", sick)
	until(t, "another lapses, and the pause has outlived both", func() bool { return weighs(0, 0)(w.watcher.Standings()) })
	until(t, "the view lapses", func() bool { return weighs(1, 0)(w.watcher.Standings()) })
	if s, err := w.board.Read(t.Context()); err != nil || s[tier.Backup].Pause == nil {
		t.Errorf("read: %+v, %v", s, err)
	}
	w.must(w.board.Resume(t.Context(), tier.Backup))
	w.soon("backup is resumed", weighs(1, 1))
}

func TestABoardThatIsDeletedAndMadeAnewIsFollowed(t *testing.T) {
	w := watch(t, "test02")
	lapsing(t, w.js, time.Minute)
	for range 20 { // so that the new bucket's revisions begin far below
		w.told(tier.Primary, "w-1", sick)
	}
	w.must(w.board.Pause(t.Context(), tier.Backup, pause))
	w.soon("told", weighs(0, 0))
	w.must(w.js.DeleteKeyValue(t.Context(), queue.Tiers))
	w.soon("without a board there is neither view nor pause", weighs(1, 1))
	if _, err := w.board.Read(t.Context()); !errors.Is(err, queue.ErrNotProvisioned) {
		t.Errorf("read: %v", err)
	}
	if err := w.board.Tell(t.Context(), tier.Primary, "w-1", sick); err == nil {
		t.Error("told to nobody")
	}
	lapsing(t, w.js, time.Minute)
	w.told(tier.Backup, "w-2", sick)
	w.soon("the new board is watched", weighs(1, 0))
}

func TestWithTheServerOutOfReachViewsStandAndThenTheNewOnesCount(t *testing.T) {
	w := watch(t, "test02")
	lapsing(t, w.js, time.Minute)
	w.told(tier.Primary, "w-1", sick)
	w.must(w.board.Pause(t.Context(), tier.Backup, pause))
	w.soon("told", weighs(0, 0))
	for name, out := range map[string]func() (back func()){
		"frozen": func() func() { w.link.mu.Lock(); return w.link.mu.Unlock },
		"cut":    func() func() { w.link.away(true); return func() { w.link.away(false) } },
	} {
		back := out()
		w.must(w.board.Withdraw(t.Context(), tier.Primary, "w-1"))
		w.must(w.board.Resume(t.Context(), tier.Backup))
		for end := time.After(3 * time.Second); ; <-time.After(10 * time.Millisecond) {
			if !weighs(0, 0)(w.watcher.Standings()) {
				t.Fatalf("%s: what was known is forgotten although nobody said otherwise", name)
			}
			select {
			case <-end:
			default:
				continue
			}
			break
		}
		back()
		until(t, name+": what changed meanwhile is known", func() bool { return weighs(1, 1)(w.watcher.Standings()) })
		w.told(tier.Primary, "w-1", sick)
		w.must(w.board.Pause(t.Context(), tier.Backup, pause))
		w.soon(name+": it is watched as before", weighs(0, 0))
	}
}

func TestManyWorkersAreReadAtOnce(t *testing.T) {
	w := watch(t, "test02")
	lapsing(t, w.js, time.Minute)
	for i := range 300 {
		v := well
		if i%3 == 0 {
			v = sick
		}
		w.told(tier.Primary, "worker-"+string(rune('a'+i%26))+"-"+time.Duration(i).String(), v)
	}
	w.soon("two of three are well", func(s queue.Standings) bool {
		return len(s[tier.Primary].Views) == 300 && s[tier.Primary].Weight() == 200.0/300
	})
}

// link is a connection to the test server that can be frozen (by holding mu) or taken away.
type link struct {
	net.Listener
	target string
	mu     sync.Mutex
	gone   bool // guarded by conns' lock
	conns  struct {
		sync.Mutex
		open map[net.Conn]bool
	}
}

func newLink(t *testing.T) *link {
	t.Helper()
	u, err := url.Parse(testenv.Need(t, testenv.NATSURL))
	if err != nil {
		t.Fatal(err)
	}
	l := &link{target: u.Host}
	l.conns.open = map[net.Conn]bool{}
	if l.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(); l.away(true) })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go l.pass(in)
		}
	}()
	return l
}

// away cuts all connections and takes no more, or takes some again.
func (l *link) away(gone bool) {
	l.conns.Lock()
	defer l.conns.Unlock()
	l.gone = gone
	for c := range l.conns.open {
		_ = c.Close()
	}
}

// pass copies both ways until either side ends.
func (l *link) pass(in net.Conn) {
	defer func() { _ = in.Close() }()
	out, err := net.Dial("tcp", l.target)
	if err != nil {
		return
	}
	l.conns.Lock()
	if l.gone {
		_ = out.Close()
	}
	l.conns.open[in], l.conns.open[out] = true, true
	l.conns.Unlock()
	var both sync.WaitGroup
	both.Go(func() { l.copy(in, out) })
	both.Go(func() { l.copy(out, in) })
	both.Wait()
	l.conns.Lock()
	defer l.conns.Unlock()
	delete(l.conns.open, in)
	delete(l.conns.open, out)
}

func (l *link) copy(from, to net.Conn) {
	defer func() { _, _ = from.Close(), to.Close() }()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		l.mu.Lock()
		l.mu.Unlock() //nolint:gocritic,staticcheck // only to wait while frozen
		if _, werr := to.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}
