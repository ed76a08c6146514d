package reconcile

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/plan"
)

// Schedule makes runs when they are due, for as long as it leads: what is new every Interval, whole inventories every Full.
// When the last ones were it learns from the log, so that it matters not who made them.
type Schedule struct {
	Runner         *Runner
	Interval, Full time.Duration
	Metrics        *Metrics
	Status         *Status
	// Before is what has to be done before a run of that scope. An error ends the run.
	Before func(ctx context.Context, scope plan.Scope) error
	Log    *zap.Logger
}

// Times of the schedule.
const (
	jitter    = 10              // a run begins up to a tenth of its interval later
	mostLater = 2 * time.Minute // but not more than that
)

// Run makes runs until ctx ends. One scope that fails does not keep the other from its time.
func (s *Schedule) Run(ctx context.Context) {
	again := queue.Schedule{Base: 10 * time.Second, Cap: max(s.Interval, 10*time.Second)}
	failures := map[plan.Scope]int{}
	rested := map[plan.Scope]time.Time{}
	for ctx.Err() == nil {
		scope, at, err := s.due(ctx, rested)
		if err != nil {
			failures[""]++
			s.Log.Warn("it cannot be told when a run is due", zap.String("error", fault.Text(err)))
			rest(ctx, again.Delay(failures[""]))
			continue
		}
		failures[""] = 0
		rest(ctx, at.Sub(s.Runner.Now()))
		if ctx.Err() != nil {
			return
		}
		if s.make(ctx, scope) {
			failures[scope] = 0
			delete(rested, scope)
			continue
		}
		failures[scope]++
		rested[scope] = s.Runner.Now().Add(again.Delay(failures[scope]))
	}
}

// due returns which run is due next, and when. What both are due for, the full run does, unless it failed a while ago.
func (s *Schedule) due(ctx context.Context, rested map[plan.Scope]time.Time) (plan.Scope, time.Time, error) {
	last, err := s.Runner.Last(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	next := func(scope plan.Scope, since time.Time, every time.Duration) time.Time {
		at := s.Runner.Now()
		if !since.IsZero() {
			at = since.Add(every + rand.N(min(every/jitter, mostLater)+1))
		}
		return later(at, rested[scope])
	}
	full := next(plan.Full, last.FullAt, s.Full)
	if fresh := next(plan.New, later(last.NewAt, last.FullAt), s.Interval); fresh.Before(full) {
		return plan.New, fresh, nil
	}
	return plan.Full, full, nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// make makes one run and tells of it.
func (s *Schedule) make(ctx context.Context, scope plan.Scope) bool {
	s.Status.begin(scope, s.Runner.Now())
	defer s.Status.end()
	err := s.Before(ctx, scope)
	var r Result
	if err == nil {
		r, err = s.Runner.Run(ctx, Options{Scope: scope})
	}
	if r.Plan != nil {
		defer func() { _ = r.Plan.Close() }()
	}
	if ctx.Err() != nil {
		return true // no longer ours to make
	}
	s.Metrics.ended(r, err, s.Runner.Now())
	if err != nil {
		s.Log.Error("a run failed", zap.String("scope", string(scope)), zap.Stringer("fault", fault.ClassOf(err)), zap.String("error", fault.Text(err)))
		return false
	}
	fields := []zap.Field{
		zap.String("scope", string(scope)), zap.Stringer("plan", r.Plan.ID), zap.Int64("expected", r.Plan.Expected), zap.Int64("looked", r.Plan.Looked),
		zap.Int("findings", r.Plan.Len()), zap.Int64("sent", r.Repair.Sent), zap.Int64("quarantined", r.Repair.Noted),
		zap.Int64("confirmed", r.Confirmed), zap.Int64("remaining", r.Remaining), zap.Duration("took", r.Took),
	}
	if r.Plan.Unjudged > 0 || r.Repair.Failed > 0 {
		s.Log.Error("a run left recordings out", append(fields, zap.Int64("unjudged", r.Plan.Unjudged), zap.Int64("failed", r.Repair.Failed),
			zap.String("error", r.Plan.Why+r.Repair.Why))...)
		return true
	}
	if r.Repair.Refused {
		s.Log.Error("a run would send more again than it may unasked; if that is right: reconciler once --approve <plan>, with --new where its scope is new", fields...)
		return true
	}
	s.Log.Info("run", fields...)
	return true
}

// Status is how far a run is. It is safe for concurrent use.
type Status struct {
	mu  sync.Mutex
	now Progress
}

// Progress is a moment of a run. The zero value: there is none.
type Progress struct {
	Scope plan.Scope `json:"scope"`
	Since time.Time  `json:"since"`
	Stage string     `json:"stage"`
	Done  int64      `json:"done"`
	Total int64      `json:"total"` // 0: unknown
}

// Tell notes how far the run is.
func (s *Status) Tell(stage string, done, total int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.Stage, s.now.Done, s.now.Total = stage, done, total
}

// Now returns how far the run is, and whether there is one.
func (s *Status) Now() (Progress, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now, s.now.Scope != ""
}

func (s *Status) begin(scope plan.Scope, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = Progress{Scope: scope, Since: now.UTC()}
}

func (s *Status) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = Progress{}
}
