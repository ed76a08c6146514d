// Package dlq follows RECORDINGS_DLQ: a letter whose tier has its copy by now is resolved, one whose sibling holds
// a verified copy is sent again with a link to it. Nothing else is ever done to a letter: it stays until its tier has its
// copy, or somebody replays or discards it.
//
// All that is decided rests on answers of the stores and of JetStream; where one is not given, nothing is done and asked
// again later. Two who do this at once do no harm: message IDs are made from the letters, and the workers look before they
// store. It keeps in memory some hundred bytes for each letter, of which RECORDINGS_DLQ's size bounds the number.
package dlq

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// Times of looking.
const (
	gatherTimeout = 30 * time.Second // for all evidence of one case
	actTimeout    = 15 * time.Second // for one step
	sweepEvery    = 10 * time.Second // how soon a letter that somebody removed is noticed
	tickEvery     = 250 * time.Millisecond
	sideBySide    = 8 // cases looked at
)

// Ledger is the part of the ledger that the follower uses: claims, to see that nobody is at work before an entry is
// withdrawn, and the notes on open letters.
type Ledger interface {
	Claim(ctx context.Context, id string, t tier.Tier) (ledger.Claim, error)
	letters.Notes
}

// Follower follows RECORDINGS_DLQ. Its fields are set before Run and not changed.
type Follower struct {
	JS        jetstream.JetStream
	Publisher *queue.Publisher
	Digests   jetstream.KeyValue // the bucket twinreel-digests
	Stores    map[tier.Tier]objstore.Reader
	Ledger    Ledger
	Look      queue.Schedule // waits between looks at a case that stays
	Redrive   queue.Schedule // waits between redrives that did not help
	Rate      *rate.Limiter  // of cases looked at
	Now       func() time.Time
	Log       *zap.Logger

	mu       sync.Mutex
	whole    bool // all letters there were are known, and which redrives are open
	cases    map[name]*casefile
	redrives redrives
}

// Schedules returns the waits between looks and between redrives as they are in earnest: a copy is found soon after it is
// there, and what a redrive cannot mend is tried a few times a day.
func Schedules() (look, redrive queue.Schedule) {
	return queue.Schedule{Base: 5 * time.Second, Cap: 15 * time.Minute}, queue.Schedule{Base: time.Minute, Cap: 6 * time.Hour}
}

// name names a case: all letters of one tier and recording, or a single letter that names no recording.
type name struct {
	tier   tier.Tier
	key    string
	single uint64
}

// letter is what is kept of a letter.
type letter struct {
	sequence uint64
	reason   queue.Reason
	redriven bool // it came of a redrive
}

// casefile is one case.
type casefile struct {
	letters  []letter // oldest first
	due      time.Time
	looks    int // since something changed
	busy     bool
	redrives int       // so far
	rested   time.Time // not sent again before
	last     step      // as logged
}

// Run follows until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	f.mu.Lock()
	f.cases, f.redrives = map[name]*casefile{}, newRedrives()
	f.mu.Unlock()
	var all sync.WaitGroup
	defer all.Wait()
	dlq := &scan.Follower{JS: f.JS, Stream: queue.DeadLetters, Visit: f.take, Log: f.Log}
	all.Go(func() { dlq.Run(ctx) })
	all.Go(func() { f.sweep(ctx, dlq) })
	ready := f.followRedrives(ctx, &all)
	slots := make(chan struct{}, sideBySide)
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !dlq.Whole() || !ready() {
			continue
		}
		f.mu.Lock()
		f.whole = true
		f.mu.Unlock()
		for batch := f.due(); len(batch) > 0; batch = f.due() {
			for _, n := range batch {
				if f.Rate.Wait(ctx) != nil {
					return
				}
				slots <- struct{}{}
				all.Go(func() {
					f.look(ctx, n)
					<-slots
				})
			}
		}
	}
}

// Once looks at every letter there is once, and does what follows.
func (f *Follower) Once(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.Run(ctx)
	}()
	for tick := time.Tick(tickEvery / 5); !f.looked(); {
		select {
		case <-ended:
			return ctx.Err()
		case <-tick:
		}
	}
	stop()
	<-ended
	return nil
}

// looked reports whether each letter was looked at.
func (f *Follower) looked() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n, c := range f.cases {
		if n.single == 0 && (c.looks == 0 || c.busy) {
			return false
		}
	}
	return f.whole
}

// take files one letter.
func (f *Follower) take(m scan.Message) {
	l, q, err := letters.Open(m)
	n := name{tier: l.Tier, key: l.IdempotencyKey}
	if err != nil || n.key == "" || l.Tier == "" {
		n.single = l.Sequence // no event that this program can read: it is only counted
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.cases[n]
	if c == nil {
		c = &casefile{}
		f.cases[n] = c
	}
	c.letters = append(c.letters, letter{l.Sequence, l.Reason, q.OriginSubject == queue.RedriveSubject(l.Tier)})
	c.due, c.looks = f.Now(), 0
}

// due returns cases that are to be looked at now, and marks them as being looked at.
func (f *Follower) due() (out []name) {
	now := f.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for n, c := range f.cases {
		if c.busy || n.single != 0 || now.Before(c.due) {
			continue
		}
		c.busy = true
		if out = append(out, n); len(out) == sideBySide {
			break
		}
	}
	return out
}

// look judges one case and does what follows.
func (f *Follower) look(ctx context.Context, n name) {
	again, err := f.judge(ctx, n)
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.cases[n]
	if c == nil {
		return
	}
	c.busy = false
	if len(c.letters) == 0 {
		delete(f.cases, n)
		return
	}
	c.looks++
	c.due = f.Now().Add(f.Look.Delay(c.looks))
	if !again.IsZero() && again.Before(c.due) {
		c.due = again
	}
	if err != nil && ctx.Err() == nil {
		f.Log.Warn("a dead letter could not be judged", zap.String("tier", n.tier.String()), zap.String("recording_id", n.key),
			zap.Time("again_at", c.due), zap.Stringer("fault", fault.ClassOf(err)), zap.String("error", fault.Text(err)))
	}
}

// Open counts the open letters as `dlq list` does: several of one tier and recording count as one, by the newest's
// reason; those that contradict what is stored each count for themselves.
func (f *Follower) Open() map[tier.Tier]map[queue.Reason]int {
	out := map[tier.Tier]map[queue.Reason]int{tier.Primary: {}, tier.Backup: {}}
	newest := map[name]letter{}
	f.mu.Lock()
	defer f.mu.Unlock()
	for n, c := range f.cases {
		for _, l := range c.letters {
			one := name{tier: n.tier, key: n.key}
			switch {
			case out[n.tier] == nil:
			case l.reason == queue.DigestConflict || n.key == "":
				out[n.tier][l.reason]++
			case l.sequence > newest[one].sequence:
				newest[one] = l
			}
		}
	}
	for n, l := range newest {
		out[n.tier][l.reason]++
	}
	return out
}
