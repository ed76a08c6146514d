// Package breaker stops a worker from asking a store that is sick, or that has asked to be asked less.
package breaker

import (
	"errors"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/twinreel/twinreel/pkg/settings"
)

// Config is when a breaker opens, and for how long.
type Config struct {
	Failures int           `env:"TWINREEL_BREAKER_FAILURES" envDefault:"3" meaning:"consecutive 5xx and time-outs of the store after which nothing is pulled for a while"`
	Open     time.Duration `env:"TWINREEL_BREAKER_OPEN" envDefault:"30s" meaning:"how long; a throttle opens at once, and for as long as it asks"`
}

// Check implements settings.Checker.
func (c *Config) Check() []settings.Problem {
	var out []settings.Problem
	if c.Failures < 1 {
		out = append(out, settings.Problem{Variable: "TWINREEL_BREAKER_FAILURES", Text: "want at least 1"})
	}
	if c.Open <= 0 || c.Open > MaxAsked {
		out = append(out, settings.Problem{Variable: "TWINREEL_BREAKER_OPEN", Text: "want more than 0, at most 15m"})
	}
	return out
}

// MaxAsked is the longest that a store's Retry-After is believed.
const MaxAsked = 15 * time.Minute

// slowly is how many writes must go well, with a further share of the slots for each, before a breaker that a throttle
// opened is closed again.
const slowly = 10

// State is a breaker's. The values are those of the metric twinreel_breaker_state.
type State int

// The states.
const (
	Closed   State = iota
	HalfOpen       // one probe write is let through; after a throttle, a few more recordings with each write that goes well
	Open           // nothing is begun
)

// String returns the state's name.
func (s State) String() string { return [...]string{"closed", "half-open", "open"}[s] }

// Breaker is one store endpoint's, shared by nothing else. It is two of the library's: one opens after several failures
// in a row and closes with the first write that goes well, the other opens with the first throttle, for as long as that
// asks, and closes slowly. It is safe for concurrent use.
type Breaker struct {
	mu       sync.Mutex
	sick     circuitbreaker.CircuitBreaker[any]
	busy     circuitbreaker.CircuitBreaker[any]
	throttle failsafe.Executor[any]
}

// New returns a closed Breaker.
func New(c Config) *Breaker {
	b := &Breaker{
		sick: circuitbreaker.NewBuilder[any]().WithFailureThreshold(uint(c.Failures)).WithSuccessThreshold(1).WithDelay(c.Open).Build(),
		busy: circuitbreaker.NewBuilder[any]().WithFailureThreshold(1).WithSuccessThreshold(slowly).
			WithDelayFunc(func(e failsafe.ExecutionAttempt[any]) time.Duration {
				var a asked
				if errors.As(e.LastError(), &a) && a > 0 {
					return min(time.Duration(a), MaxAsked)
				}
				return c.Open
			}).Build(),
	}
	b.throttle = failsafe.With[any](b.busy)
	return b
}

// asked is a throttle, as the library sees it: for how long.
type asked time.Duration

func (asked) Error() string { return "throttled" }

// Failed notes that the store failed: 5xx, time-out, refused.
func (b *Breaker) Failed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ripen()
	b.sick.RecordFailure()
}

// Throttled notes that the store asked to slow down, for that long; 0: it did not say. Of several who ask while the
// breaker is open the longest is heard.
func (b *Breaker) Throttled(after time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ripen()
	if b.busy.IsOpen() {
		if min(after, MaxAsked) <= b.busy.RemainingDelay() {
			return
		}
		b.busy.HalfOpen() // an open one would not hear it
	}
	_ = b.throttle.Run(func() error { return asked(after) })
}

// Wrote notes that the store carried out a write.
func (b *Breaker) Wrote() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ripen()
	b.sick.RecordSuccess()
	b.busy.RecordSuccess()
}

// State returns the state now.
func (b *Breaker) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ripen()
	return b.state()
}

func (b *Breaker) state() State {
	switch {
	case b.sick.IsOpen() || b.busy.IsOpen():
		return Open
	case b.sick.IsClosed() && b.busy.IsClosed():
		return Closed
	}
	return HalfOpen
}

// Remaining returns for how long it stays open; 0 where it is not.
func (b *Breaker) Remaining() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(b.sick.RemainingDelay(), b.busy.RemainingDelay())
}

// Slots returns how many of all slots may be used now: none before the probe write that half-open lets through has gone
// well, and after a throttle a further share with each write.
func (b *Breaker) Slots(all int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ripen()
	if b.state() == Open || b.sick.IsHalfOpen() {
		return 0
	}
	if b.busy.IsClosed() {
		return all
	}
	n := int(b.busy.Metrics().Successes())
	if n == 0 {
		return 0
	}
	return max(1, all*n/slowly)
}

// ripen half-opens what has been open for long enough: the library does so only when it is asked for a permit.
func (b *Breaker) ripen() {
	for _, one := range []circuitbreaker.CircuitBreaker[any]{b.sick, b.busy} {
		if one.IsOpen() && one.RemainingDelay() == 0 {
			one.HalfOpen()
		}
	}
}
