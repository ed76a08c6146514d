package dlq

import (
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/evidence"
)

// withdrawAfter is how old a digest entry must be before it may be withdrawn.
const withdrawAfter = 15 * time.Minute

// held is one letter of a case with its event.
type held struct {
	letter
	event event.Event
	trace string
	body  []byte
}

// step is what is to be done about a case.
type step int

// The steps.
const (
	wait     step = iota // nothing now
	resolve              // the tier has its copy
	copyOver             // the sibling has a verified one
	restart              // nothing is stored or agreed on: let the next to come agree
	withdraw             // likewise, but first the entry on which nobody could agree has to go
)

// plan decides what is to be done about a case, from the evidence alone. about are the letters that it concerns: those
// whose event contradicts nothing. A contradicting one stays until somebody discards it.
func plan(e *evidence.Evidence, t tier.Tier, letters []held, now time.Time) (s step, about []held) {
	if e.Forgotten() {
		return resolve, letters // nobody is owed anything any more
	}
	if !e.Clear() {
		return wait, nil
	}
	for _, h := range letters {
		if !e.Contradicted(h.event) {
			about = append(about, h)
		}
	}
	switch {
	case len(about) == 0:
		return wait, nil
	case e.Stored(t):
		return resolve, about
	case e.Object[t] != nil && !e.Verified(t):
		return wait, nil // other bytes under its key: evidence, and never overwritten
	case e.Verified(t.Sibling()):
		return copyOver, about
	case !e.Nowhere():
		return wait, nil
	}
	about = conflicting(about)
	switch {
	case len(about) == 0:
		return wait, nil
	case e.Entry == nil:
		return restart, about
	case now.Sub(e.Entry.Made) >= withdrawAfter:
		return withdraw, about
	}
	return wait, nil
}

// conflicting returns the letters whose tier read other bytes than were agreed on.
func conflicting(list []held) (out []held) {
	for _, h := range list {
		if h.reason == queue.DigestConflict {
			out = append(out, h)
		}
	}
	return out
}

// superseded returns the letters that a later one of the same event replaces: what came back of our own redrives. The
// event's first letter and the newest stay, so that what is tried for long does not fill the stream.
func superseded(list []held) (out []held) {
	newest := map[string]held{}
	for _, h := range list { // oldest first
		if !h.redriven {
			continue
		}
		if old, ok := newest[h.event.ID]; ok {
			out = append(out, old)
		}
		newest[h.event.ID] = h
	}
	return out
}
