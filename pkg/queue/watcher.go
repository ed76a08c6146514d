package queue

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/tier"
)

// Times of a Watcher: a change is known after watchEvery and the way there and back; where one question gets no answer,
// after both once more.
const (
	watchEvery   = time.Second
	watchTimeout = time.Second
)

// Watcher keeps up with a board: it reads it every second. What it knows lapses by its own clock as well, so that with NATS
// away or stale nobody's word is believed for longer than it holds; a pause stands until the board, or the lack of one, is
// seen to say otherwise. Without a board there is neither view nor pause.
type Watcher struct {
	board *Board
	log   *zap.Logger
	mu    sync.Mutex
	notes *notes
	heard bool // it has been read, or there is none
}

// NewWatcher returns a Watcher that knows nothing until Run runs.
func NewWatcher(b *Board, log *zap.Logger) *Watcher {
	return &Watcher{board: b, log: log, notes: newNotes()}
}

// Standings returns what is known now, nil until the board has been read for the first time. It never waits.
func (w *Watcher) Standings() Standings {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.heard {
		return nil
	}
	return w.notes.standings(time.Now())
}

// Run keeps up with the board until ctx ends, through any absence of NATS.
func (w *Watcher) Run(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	said := ""
	for {
		err := w.look(ctx)
		switch text := fault.Text(err); {
		case ctx.Err() != nil:
			return
		case text == said:
		case err == nil:
			w.log.Info("the tiers' board can be read again")
			said = text
		default:
			w.log.Warn("the tiers' board cannot be read; what workers said of their stores holds for a minute", zap.String("error", text))
			said = text
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look reads the board once.
func (w *Watcher) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	values, err := w.board.bucket.Values(ctx, ">")
	if err != nil && !errors.Is(err, ErrNotProvisioned) {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes, w.heard = w.notes.next(values, time.Now()), true
	return err
}

// notes is what was read on the board.
type notes struct {
	views  map[tier.Tier]map[string]note
	pauses map[tier.Tier]*tier.Pause
}

// note is a view, of that revision, and until when it is believed.
type note struct {
	view     tier.View
	revision uint64
	stored   time.Time // of the revision: a bucket made anew counts from 1 again
	until    time.Time
}

func newNotes() *notes {
	n := &notes{views: map[tier.Tier]map[string]note{}, pauses: map[tier.Tier]*tier.Pause{}}
	for _, t := range tier.All() {
		n.views[t] = map[string]note{}
	}
	return n
}

// next returns the notes of a board that holds these values now. A view that n knows already holds no longer for being
// read again: only its worker can renew it.
func (n *notes) next(values []Value, now time.Time) *notes {
	out := newNotes()
	for _, v := range values {
		name, instance, _ := strings.Cut(v.Key, ".")
		t, err := tier.Parse(name)
		switch {
		case err != nil || instance == "":
		case instance == pausedKey:
			p := &tier.Pause{}
			if json.Unmarshal(v.Data, p) != nil {
				p = &tier.Pause{Reason: "unreadable"} // somebody meant it to be paused
			}
			out.pauses[t] = p
		default:
			one := note{revision: v.Revision, stored: v.Stored, until: now.Add(volatileAge)}
			if json.Unmarshal(v.Data, &one.view) != nil {
				continue // a newer program's word is not guessed at
			}
			if old, known := n.views[t][instance]; known && old.revision == one.revision && old.stored.Equal(one.stored) {
				one.until = old.until
			}
			out.views[t][instance] = one
		}
	}
	return out
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
