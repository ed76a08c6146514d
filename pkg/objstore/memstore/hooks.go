package memstore

import (
	"context"

	"github.com/twinreel/twinreel/pkg/fault"
)

// Op is a call of the seam.
type Op string

// The calls that can be counted and hooked.
const (
	Put         Op = "put"
	Create      Op = "create"
	Part        Op = "part"
	Stream      Op = "stream"
	Write       Op = "write"
	Commit      Op = "commit" // of an upload or a stream
	Abort       Op = "abort"  // likewise
	Abandon     Op = "abandon"
	Tag         Op = "tag"
	Stat        Op = "stat"
	ReadSidecar Op = "read_sidecar"
	List        Op = "list"
	Tags        Op = "tags"
	Open        Op = "open"
	Link        Op = "link"
)

// Call is one call as a hook sees it.
type Call struct {
	Op  Op
	Key string
	N   int // the how-manieth of its Op, from 1
}

// Hook is called without the store's lock: it may wait, end a process's work, or fail the call.
type Hook func(ctx context.Context, c Call) error

// Nth fails the n-th call, and lets all others be.
func Nth(n int, err error) Hook {
	return func(_ context.Context, c Call) error {
		if c.N == n {
			return err
		}
		return nil
	}
}

// Always fails every call.
func Always(err error) Hook {
	return func(context.Context, Call) error { return err }
}

// Before adds a hook that runs before calls of op take effect: an error is returned in their place.
func (s *Store) Before(op Op, h Hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before[op] = append(s.before[op], h)
}

// After adds a hook that runs once a call of op has taken effect: an error is returned although it has, which is what a
// lost answer looks like. It does not run for calls that failed.
func (s *Store) After(op Op, h Hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after[op] = append(s.after[op], h)
}

// Heal removes all hooks.
func (s *Store) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.before)
	clear(s.after)
}

// Calls returns how often op was called, whatever came of it.
func (s *Store) Calls(op Op) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// do runs one call between its hooks. effect runs with the lock held.
func (s *Store) do(ctx context.Context, op Op, key string, effect func() error) error {
	s.mu.Lock()
	s.calls[op]++
	call := Call{op, key, s.calls[op]}
	before, after := s.before[op], s.after[op]
	s.mu.Unlock()
	if err := run(ctx, before, call); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fault.New(fault.ClassOf(err), fault.Store, string(op)+" "+key, err)
	}
	s.mu.Lock()
	err := effect()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return run(ctx, after, call)
}

func run(ctx context.Context, hooks []Hook, c Call) error {
	for _, h := range hooks {
		if err := h(ctx, c); err != nil {
			return err
		}
	}
	return nil
}
