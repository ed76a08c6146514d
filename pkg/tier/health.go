package tier

import (
	"fmt"
	"sync"
	"time"
)

// Rules are the bounds of a Health.
type Rules struct {
	DegradedAfter int           // failures in a row that make it degraded
	ProbeInterval time.Duration // between probe writes; the damping counts in it
}

// Bounds that hang on no setting.
const (
	clearAfter  = 3  // recordings stored in a row that end a degraded state
	settleFor   = 3  // probe intervals for which a recovered store has half its weight
	calmFor     = 60 // probe intervals without a fall after which earlier ones are forgotten
	maxRelapses = 4  // doublings of settleFor
	maxTurns    = 100
)

// Health is how one worker sees its tier's store. It is told what came of calls, recordings and probe writes, and keeps
// to these rules:
//
// Degraded after Rules.DegradedAfter failures in a row; a write that the store carried out ends the row, a mere look does
// not, since a store whose quota is full answers those. Three recordings stored in a row clear it; a probe write that
// passed counts as one where no recording is in hand.
//
// Parked once a probe write was denied; the next one that passes ends that. The denial of a recording alone says nothing of
// the tier.
//
// The weight is 0 unless healthy. A healthy store's follows its probe writes' latency, see pace.
//
// Flapping is damped in the weight, not in the state: a store that recovered has a weight of a half at most for three
// probe intervals, and for twice as long each time that it falls again before it has been well for sixty, up to 48.
//
// It has no clock: times come in with each call and must not go back. It is safe for concurrent use.
type Health struct {
	rules Rules

	mu       sync.Mutex
	state    State
	since    time.Time
	reason   string
	failures int // in a row
	stored   int // in a row, while degraded
	pace     pace
	rose     time.Time // when it last recovered
	settled  time.Time // from when on it has its whole weight again
	relapses int
	turns    []View
}

// NewHealth returns a Health that is well until it is told otherwise.
func NewHealth(r Rules, now time.Time) *Health {
	return &Health{rules: r, state: Healthy, since: now.UTC()}
}

// Failed notes that the store failed: 5xx, time-out, refused. why is without URL or secret.
func (h *Health) Failed(now time.Time, why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures++
	h.stored = 0
	if h.state == Healthy && h.failures >= h.rules.DegradedAfter {
		h.turn(Degraded, now, fmt.Sprintf("%d failures in a row, the last: %s", h.failures, why))
	}
}

// Wrote notes that the store carried out a write.
func (h *Health) Wrote() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures = 0
}

// Stored notes that a recording was stored.
func (h *Health) Stored(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held(now)
}

// Passed notes that a probe write passed, after that time. idle: no recording is in hand.
func (h *Health) Passed(now time.Time, took time.Duration, idle bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pace.took(took)
	switch {
	case h.state == Parked:
		h.turn(Healthy, now, "")
	case idle:
		h.held(now)
	}
}

// Denied notes that the store refused a probe write for who we are. why is without URL or secret.
func (h *Health) Denied(now time.Time, why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state != Parked {
		h.turn(Parked, now, why)
	}
	h.reason = why
}

// held counts towards the end of a degraded state. It does not end a row of failures: the recording's writes did so when
// they were made, which may be before the latest failure.
func (h *Health) held(now time.Time) {
	if h.state != Degraded {
		return
	}
	if h.stored++; h.stored >= clearAfter {
		h.turn(Healthy, now, "")
	}
}

// turn changes the state.
func (h *Health) turn(to State, now time.Time, why string) {
	switch {
	case to == Healthy:
		h.rose = now
		h.settled = now.Add(settleFor * h.rules.ProbeInterval << h.relapses)
		h.failures = 0
	case h.state != Healthy: // from one bad state into the other
	case !h.rose.IsZero() && now.Sub(h.rose) < calmFor*h.rules.ProbeInterval:
		h.relapses = min(h.relapses+1, maxRelapses)
	default:
		h.relapses = 0
	}
	h.state, h.since, h.reason, h.stored = to, now.UTC(), why, 0
	v := h.view(now)
	v.Reason = why
	h.turns = append(h.turns, v)
	if len(h.turns) > maxTurns {
		h.turns = h.turns[1:]
	}
}

// View returns how the store is seen now.
func (h *Health) View(now time.Time) View {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.view(now)
}

func (h *Health) view(now time.Time) View {
	v := View{
		State: h.state, Reason: h.reason, Since: h.since, ConsecutiveFailures: h.failures, LatencyMs: h.pace.latest().Milliseconds(),
	}
	if h.state != Healthy {
		return v
	}
	v.Weight, v.Reason = h.pace.weight()
	if now.Before(h.settled) && v.Weight > half {
		v.Weight, v.Reason = half, "it has only just recovered"
	}
	return v
}

// Turns returns the changes of state that it has not returned before, of many the latest hundred, oldest first: each as
// the view that came of it.
func (h *Health) Turns() []View {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.turns
	h.turns = nil
	return out
}
