package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing/synctest"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
)

// hand is one delivery in one process: all that is done for it is told apart from what others do.
type hand struct {
	process *process
	lane    queue.Lane
	seq     uint64
	count   int
	event   event.Event
	valid   bool // it is an event
	began   int  // how far the history was

	calls    map[string]int // by op and key
	claimed  bool           // it took the claim
	checked  bool           // nothing but the commit followed the last look at the claim
	proven   bool           // a Stat or a confirmed write of its media
	looked   bool           // it looked once more since its last failure
	audited  bool           // AUDIT has acknowledged the event that goes before the acknowledgement
	lettered bool           // RECORDINGS_DLQ has acknowledged its letter
	ended    bool           // its verdict was to acknowledge
}

func (h *hand) String() string {
	return fmt.Sprintf("%s message %d (%d)", h.process, h.seq, h.count)
}

// handKey is the context's key of a hand.
type handKey struct{}

func handOf(ctx context.Context) *hand {
	h, _ := ctx.Value(handKey{}).(*hand)
	return h
}

// errDead is what everything returns in a process that has died: nothing it does has any effect.
var errDead = errors.New("the process is dead")

// fate is what becomes of a call.
type fate int

// The fates.
const (
	works    fate = iota
	fails         // it never arrives
	answered      // it takes effect, but its answer is lost
	lingers       // its answer is lost, and it takes effect later
	dies          // the process dies before it
	diedOf        // the process dies when it has taken effect
	freezes       // the process freezes before it
	fates
)

// seam is one call that leaves a process.
type seam struct {
	op, key string
	reads   bool // it changes nothing
	effect  func() error
	weather func() error // how the other side is: an error takes the effect's place; nil: well
	lost    error        // what a caller gets that hears nothing
}

// call is a seam that waits for its fate.
type call struct {
	seam
	hand *hand
	n    int // the how-manieth of its hand with this op and key
	fate chan fate
}

// step makes the call once it is let through. Without a hand, it works at once.
func (m *model) step(ctx context.Context, s seam) error {
	h := handOf(ctx)
	if h == nil {
		return s.run()
	}
	c := m.enter(h, s)
	select {
	case f := <-c.fate:
		m.leave(c) // what lasts, such as a source that stalls, waits for nobody to let it through
		err := m.meet(c, f)
		if m.isDead(h.process) {
			return errDead
		}
		m.observe(c, err)
		return err
	case <-h.process.dead:
		m.leave(c)
		return errDead
	case <-ctx.Done():
		m.leave(c)
		m.mishap(c)
		return c.lost // it was given up before it was let through
	}
}

// mishap notes that the call did not work, where that may leave an upload open that nobody will come to abort.
func (m *model) mishap(c *call) {
	switch c.op {
	case "store abort", "store abandon", "ledger opened", "ledger release", "ledger claim":
		m.mu.Lock()
		defer m.mu.Unlock()
		m.rough = true
	}
}

// run is the call in the weather that there is.
func (s seam) run() error {
	if s.weather != nil {
		if err := s.weather(); err != nil {
			return err
		}
	}
	return s.effect()
}

func (m *model) enter(h *hand, s seam) *call {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := s.op + " " + s.key
	h.calls[id]++
	c := &call{seam: s, hand: h, n: h.calls[id], fate: make(chan fate)}
	m.calls = append(m.calls, c)
	return c
}

func (m *model) leave(c *call) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = slices.DeleteFunc(m.calls, func(o *call) bool { return o == c })
}

// meet lets the call meet its fate.
func (m *model) meet(c *call, f fate) error {
	switch f {
	case fails:
		return c.lost
	case answered:
		if err := c.run(); err != nil {
			return err
		}
		return c.lost
	case lingers:
		if !c.reads {
			m.late = append(m.late, c)
		}
		return c.lost
	case dies:
		m.kill(c.hand.process)
		return errDead
	case diedOf:
		err := c.run()
		m.kill(c.hand.process)
		return err
	}
	return c.run()
}

// waiting returns the calls that may be let through, in an order that hangs only on what they are.
func (m *model) waiting() []*call {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*call
	for _, c := range m.calls {
		if !c.hand.process.frozen.Load() {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b *call) int {
		return cmp.Or(cmp.Compare(a.hand.process.number, b.hand.process.number), cmp.Compare(a.hand.seq, b.hand.seq),
			cmp.Compare(a.hand.count, b.hand.count), cmp.Compare(a.op, b.op), cmp.Compare(a.key, b.key), cmp.Compare(a.n, b.n))
	})
	return out
}

// let gives the call its fate and waits until everything stands still again.
func (m *model) let(c *call, f fate) {
	m.note("%s: %s %s%s", c.hand, c.op, c.key, [...]string{"", ": never arrives", ": answer lost", ": answer lost, still on its way", ": dies before", ": dies after", ": freezes before"}[f])
	if f == freezes {
		c.hand.process.frozen.Store(true)
		return
	}
	if f != works {
		m.mishap(c)
	}
	c.fate <- f
	synctest.Wait()
}

// run lets the chosen call through, and up to more that follow it in its hand; the last meets its fate.
func (m *model) run(choice, more int, last fate) {
	calls := m.waiting()
	if len(calls) == 0 {
		return
	}
	c := calls[choice%len(calls)]
	for range more {
		m.let(c, works)
		next := slices.IndexFunc(m.waiting(), func(o *call) bool { return o.hand == c.hand })
		if next < 0 || m.broken != "" {
			return
		}
		c = m.waiting()[next]
	}
	m.let(c, last)
}
