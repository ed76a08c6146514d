// Package fault puts every error of the pipeline into one of a few classes, at the place where it enters.
//
// What happens next (try again, slow down, park the tier, ask for a fresh link, give up) hangs on the class and on the
// part that failed, never on the text of an error. The text is made to be logged and to travel in a dead letter's
// header: it holds no URL and no secret (see Text).
package fault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Class says what kind of failure an error is.
type Class int

// The classes, in no order of severity. The zero value is Transient: what nobody classified is tried again.
const (
	// Transient failures may go away by themselves: a reset connection, a lost lease.
	Transient Class = iota
	// Throttled means: slow down (429, 503 SlowDown or ServerBusy, Azure 500 OperationTimedOut). Never a failure of the recording.
	Throttled
	// Unavailable means that the other side is sick: 5xx, time-out, connection refused. Counts for breaker and health.
	Unavailable
	// Denied means that a store or resolver refused our identity (401, 403).
	Denied
	// SourceGone means that the media link is expired or missing (401, 403, 404, 410 from the source).
	SourceGone
	// Corrupt means wrong bytes: length, digest, not media.
	Corrupt
	// Conflict means that bytes or event contradict what both tiers agreed to store, or what is stored already.
	Conflict
	// Permanent failures cannot be mended by trying again: an event that is none, a request that is never valid.
	Permanent
)

var classNames = [...]string{"transient", "throttled", "unavailable", "denied", "source_gone", "corrupt", "conflict", "permanent"}

// String returns the class's name as used in log fields.
func (c Class) String() string {
	if c < 0 || int(c) >= len(classNames) {
		return fmt.Sprintf("class(%d)", int(c))
	}
	return classNames[c]
}

// Part says which part of the world an error came from; blame follows it.
type Part string

// The parts that a recording's way touches.
const (
	Source    Part = "source"    // the platform's media host
	Platform  Part = "platform"  // the platform's API: resolver, token endpoint, our share of requests to it
	Sibling   Part = "sibling"   // the other tier's store, read by a redrive's link
	Store     Part = "store"     // the tier's own store
	Ledger    Part = "ledger"    // Redis
	Agreement Part = "agreement" // the digest entry in JetStream KV
	Audit     Part = "audit"     // the AUDIT stream
	Queue     Part = "queue"     // JetStream otherwise
	Event     Part = "event"     // the event itself
	Worker    Part = "worker"    // this process: drain, memory, programming error
)

// Error is an error with its class and the part it came from.
type Error struct {
	Class      Class
	Part       Part
	Op         string        // what was attempted, on what: "put recordings/rec-1.wav"
	Status     int           // HTTP status where there was one, else 0
	RetryAfter time.Duration // what the other side asked for, else 0
	Err        error
}

// New classifies err. Op says what was attempted and on what, without URL or secret.
func New(class Class, part Part, op string, err error) *Error {
	return &Error{Class: class, Part: part, Op: op, Err: err}
}

// Error returns "part: op: cause", cleaned by Text's rules.
func (e *Error) Error() string {
	return Text(fmt.Errorf("%s: %s: %w", e.Part, e.Op, e.Err))
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf returns the class of the outermost classified error in err's chain. Unclassified errors are Transient, but
// network failures and time-outs, which are Unavailable.
func ClassOf(err error) Class {
	var f *Error
	if errors.As(err, &f) {
		return f.Class
	}
	if IsNetwork(err) {
		return Unavailable
	}
	return Transient
}

// Passes reports whether the same request may succeed later: err is about the moment, not about what was asked.
func Passes(err error) bool {
	switch ClassOf(err) {
	case Transient, Throttled, Unavailable:
		return true
	}
	return false
}

// PartOf returns the part that the outermost classified error in err's chain came from, else Worker.
func PartOf(err error) Part {
	var f *Error
	if errors.As(err, &f) {
		return f.Part
	}
	return Worker
}

// StatusOf returns the HTTP status of the outermost classified error in err's chain, 0 if there is none.
func StatusOf(err error) int {
	var f *Error
	if errors.As(err, &f) {
		return f.Status
	}
	return 0
}

// RetryAfterOf returns how long the other side asked to wait, 0 if it did not.
func RetryAfterOf(err error) time.Duration {
	var f *Error
	if errors.As(err, &f) {
		return f.RetryAfter
	}
	return 0
}

// Is reports whether err is of class c and came from part p.
func Is(err error, c Class, p Part) bool { return err != nil && ClassOf(err) == c && PartOf(err) == p }

// IsNetwork reports whether err is a failure of the network (refused, reset, unreachable, unresolved) or a time-out.
func IsNetwork(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &op), errors.As(err, &dns), errors.Is(err, context.DeadlineExceeded):
		return true
	case errors.As(err, &timeout):
		return timeout.Timeout()
	}
	return false
}
