package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/tier"
)

// ViewEvery is how often a worker tells its view again; on a change it tells it at once. A view that is not renewed
// lapses after a minute.
const ViewEvery = 10 * time.Second

// pausedKey is the last token of the key by which an operator pauses a tier. No instance has this name: they end in a
// random suffix.
const pausedKey = "paused"

// Board is where workers tell how they see their store, and operators pause a tier: the bucket twinreel-tiers.
type Board struct {
	nc *nats.Conn
	js jetstream.JetStream
}

// NewBoard returns the board on the connection.
func NewBoard(nc *nats.Conn, js jetstream.JetStream) *Board { return &Board{nc: nc, js: js} }

// Tell publishes an instance's view of tier t.
func (b *Board) Tell(ctx context.Context, t tier.Tier, instance string, v tier.View) error {
	return b.put(ctx, t.String()+"."+instance, v, "")
}

// Withdraw takes an instance's view back, when it stops.
func (b *Board) Withdraw(ctx context.Context, t tier.Tier, instance string) error {
	return b.drop(ctx, t.String()+"."+instance)
}

// Pause pauses tier t until Resume: it never lapses.
func (b *Board) Pause(ctx context.Context, t tier.Tier, p tier.Pause) error {
	return b.put(ctx, t.String()+"."+pausedKey, p, "never")
}

// Resume ends the pause of tier t, if there is one.
func (b *Board) Resume(ctx context.Context, t tier.Tier) error {
	return b.drop(ctx, t.String()+"."+pausedKey)
}

// put publishes the value by hand: a bucket's Put has no way to say that an entry outlives its MaxAge.
func (b *Board) put(ctx context.Context, key string, value any, ttl string) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("tell the board: %w", err)
	}
	msg := nats.NewMsg("$KV." + Tiers + "." + key)
	msg.Data = body
	if ttl != "" {
		msg.Header.Set("Nats-TTL", ttl)
	}
	if _, err := b.js.PublishMsg(ctx, msg, jetstream.WithExpectStream(BucketStream(Tiers))); err != nil {
		return fault.New(fault.Unavailable, fault.Queue, "tell the board", err)
	}
	return nil
}

func (b *Board) drop(ctx context.Context, key string) error {
	kv, err := b.js.KeyValue(ctx, Tiers)
	if err == nil {
		err = kv.Delete(ctx, key)
	}
	if err != nil {
		return fault.New(fault.Unavailable, fault.Queue, "take back from the board", err)
	}
	return nil
}

// Standings is the standing of each tier. It has an entry for both.
type Standings map[tier.Tier]tier.Standing

// Read returns what stands on the board now.
func (b *Board) Read(ctx context.Context) (Standings, error) {
	kv, err := b.js.KeyValue(ctx, Tiers)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, fmt.Errorf("bucket %s: %w", Tiers, ErrNotProvisioned)
	}
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", Tiers, err)
	}
	w, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", Tiers, err)
	}
	defer func() { _ = w.Stop() }()
	n := newNotes()
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("bucket %s: %w", Tiers, ctx.Err())
		case e, open := <-w.Updates():
			if !open {
				return nil, fmt.Errorf("bucket %s: the watch ended", Tiers)
			}
			if e == nil {
				return n.standings(time.Now()), nil
			}
			n.take(e, time.Now())
		}
	}
}

// Watcher keeps up with a board. What it knows lapses by its own clock as well, so that with the bucket away or stale
// nobody's word is believed for longer than it holds; only a pause stands until it is seen to end.
type Watcher struct {
	board *Board
	log   *zap.Logger
	mu    sync.Mutex
	notes *notes
}

// watchAgain is the wait before a watch that broke is begun anew.
const watchAgain = time.Second

// NewWatcher returns a Watcher that knows nothing until Run runs.
func NewWatcher(b *Board, log *zap.Logger) *Watcher {
	return &Watcher{board: b, log: log, notes: newNotes()}
}

// Standings returns what is known now.
func (w *Watcher) Standings() Standings {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.notes.standings(time.Now())
}

// Run keeps up with the board until ctx ends, through any absence of NATS.
func (w *Watcher) Run(ctx context.Context) {
	said := ""
	for ctx.Err() == nil {
		err := w.follow(ctx)
		if text := fault.Text(err); err != nil && ctx.Err() == nil && text != said {
			w.log.Warn("the tiers' board cannot be watched", zap.String("error", text))
			said = text
		}
		pause(ctx, watchAgain)
	}
}

// follow takes in what is told from now on, beginning with all that stands.
func (w *Watcher) follow(ctx context.Context) error {
	kv, err := w.board.js.KeyValue(ctx, Tiers)
	if err != nil {
		return err
	}
	watch, err := kv.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = watch.Stop() }()
	fresh := newNotes() // takes the old one's place once it has all that stands
	whole := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, open := <-watch.Updates():
			switch {
			case !open:
				return errors.New("the watch ended")
			case e == nil:
				whole = true
			case whole:
				w.mu.Lock()
				w.notes.take(e, time.Now())
				w.mu.Unlock()
				continue
			default:
				fresh.take(e, time.Now())
				continue
			}
			w.mu.Lock()
			w.notes = fresh
			w.mu.Unlock()
		}
	}
}

// notes is what was read on the board.
type notes struct {
	views  map[tier.Tier]map[string]note
	pauses map[tier.Tier]*tier.Pause
}

type note struct {
	view  tier.View
	until time.Time
}

func newNotes() *notes {
	n := &notes{views: map[tier.Tier]map[string]note{}, pauses: map[tier.Tier]*tier.Pause{}}
	for _, t := range tier.All() {
		n.views[t] = map[string]note{}
	}
	return n
}

// take notes one entry, or that it is gone. What cannot be read counts as gone: a newer program's word is not guessed at.
func (n *notes) take(e jetstream.KeyValueEntry, now time.Time) {
	name, instance, _ := strings.Cut(e.Key(), ".")
	t, err := tier.Parse(name)
	if err != nil || instance == "" {
		return
	}
	told := e.Operation() == jetstream.KeyValuePut
	if instance == pausedKey {
		p := &tier.Pause{}
		if told && json.Unmarshal(e.Value(), p) != nil {
			p = &tier.Pause{Reason: "unreadable"} // somebody meant it to be paused
		}
		if !told {
			p = nil
		}
		n.pauses[t] = p
		return
	}
	var v tier.View
	if !told || json.Unmarshal(e.Value(), &v) != nil {
		delete(n.views[t], instance)
		return
	}
	n.views[t][instance] = note{view: v, until: now.Add(volatileAge)}
}

func (n *notes) standings(now time.Time) Standings {
	out := Standings{}
	for _, t := range tier.All() {
		s := tier.Standing{Views: map[string]tier.View{}, Pause: n.pauses[t]}
		for instance, v := range n.views[t] {
			if now.Before(v.until) {
				s.Views[instance] = v.view
			}
		}
		out[t] = s
	}
	return out
}
