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

// Run makes runs until ctx ends.
func (s *Schedule) Run(ctx context.Context) {
	again := queue.Schedule{Base: 10 * time.Second, Cap: max(s.Interval, 10*time.Second)}
	for failures := 0; ctx.Err() == nil; {
		scope, wait, err := s.due(ctx)
		if err != nil {
			failures++
			s.Log.Warn("it cannot be told when a run is due", zap.String("error", fault.Text(err)))
			rest(ctx, again.Delay(failures))
			continue
		}
		if failures > 0 {
			wait = max(wait, again.Delay(failures))
		}
		rest(ctx, wait)
		if ctx.Err() != nil {
			return
		}
		if s.make(ctx, scope) {
			failures = 0
		} else {
			failures++
		}
	}
}

// due returns which run is due next, and when. What both are due for, the full run does.
func (s *Schedule) due(ctx context.Context) (plan.Scope, time.Duration, error) {
	last, err := s.Runner.Last(ctx)
	if err != nil {
		return "", 0, err
	}
	now := s.Runner.Now()
	left := func(since time.Time, every time.Duration) time.Duration {
		if since.IsZero() {
			return 0
		}
		return since.Add(every).Sub(now) + rand.N(min(every/jitter, mostLater)+1)
	}
	full := left(last.FullAt, s.Full)
	newest := last.NewAt
	if last.FullAt.After(newest) {
		newest = last.FullAt
	}
	if next := left(newest, s.Interval); next < full {
		return plan.New, max(next, 0), nil
	}
	return plan.Full, max(full, 0), nil
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
	if r.Repair.Refused {
		s.Log.Error("a run would send more again than it may unasked; if that is right: reconciler once --approve <plan>", fields...)
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
