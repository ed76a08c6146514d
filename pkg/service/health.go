package service

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
)

// Times of readiness checks.
const (
	checkTimeout = 2 * time.Second
	checkCache   = time.Second // a result no older than this is given again
)

// health holds what a program says of itself.
type health struct {
	now      func() time.Time
	stopping atomic.Bool

	mu     sync.Mutex
	checks []check
	alive  []aliveCheck
	last   *evaluation
}

type check struct {
	name    string
	decides bool
	run     func(context.Context) error
}

type aliveCheck struct {
	name string
	run  func() error
}

// result is one check's line in /readyz and /livez.
type result struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Decides bool   `json:"decides"`
	Detail  string `json:"detail"`
}

// report is the answer of /readyz.
type report struct {
	Ready  bool     `json:"ready"`
	Checks []result `json:"checks"`
}

// evaluation is one run of all checks, shared by everyone who asks while it runs and for checkCache after.
type evaluation struct {
	done  chan struct{} // closed when the rest is set
	ended time.Time
	report
}

func newHealth(now func() time.Time) *health { return &health{now: now} }

// Check registers a readiness check. Where decides is false its failure is shown, but changes nothing: that is for what
// the program can do without. Until the first check is registered a program is not ready, so the one that takes longest
// to pass is registered first.
func (h *health) Check(name string, decides bool, run func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, check{name, decides, run})
	h.last = nil // it knew less
}

// Alive registers a check of /livez: an error means that only a restart helps.
func (h *health) Alive(name string, run func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.alive = append(h.alive, aliveCheck{name, run})
}

// Ready reports whether all deciding checks pass, by a result at most a second old, which /readyz shows too. It is false
// when ctx ends before there is one. A stopping program's Ready goes by its checks alone, so that what is in hand can be
// finished; its /readyz says 503.
func (h *health) Ready(ctx context.Context) bool {
	r, err := h.report(ctx)
	return err == nil && r.Ready
}

// Serving reports what /readyz says: whether new work should be sent here. It is Ready, and false as soon as the program
// stops.
func (h *health) Serving(ctx context.Context) bool { return !h.stopping.Load() && h.Ready(ctx) }

// report returns a recent report, waiting for one if need be until ctx ends.
func (h *health) report(ctx context.Context) (report, error) {
	e := h.current()
	select {
	case <-e.done:
		return e.report, nil
	case <-ctx.Done():
		return report{}, ctx.Err()
	}
}

// current returns the evaluation that is running or fresh, or starts one.
func (h *health) current() *evaluation {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.last; e != nil {
		select {
		case <-e.done:
			if age := h.now().Sub(e.ended); age >= 0 && age < checkCache {
				return e
			}
		default:
			return e
		}
	}
	e := &evaluation{done: make(chan struct{})}
	h.last = e
	go h.evaluate(e, h.checks)
	return e
}

// evaluate runs the checks side by side.
func (h *health) evaluate(e *evaluation, checks []check) {
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	e.Checks = make([]result, len(checks))
	var all sync.WaitGroup
	for i, c := range checks {
		all.Go(func() { e.Checks[i] = c.result(ctx) })
	}
	all.Wait()
	if len(checks) == 0 {
		e.Checks = []result{{"started", false, true, "still starting"}}
	}
	e.Ready = true
	for _, r := range e.Checks {
		e.Ready = e.Ready && (r.OK || !r.Decides)
	}
	e.ended = h.now()
	close(e.done)
}

// result runs the check; one that does not come back in time has failed, and is left to itself.
func (c check) result(ctx context.Context) result {
	answer := make(chan error, 1)
	go func() { answer <- c.run(ctx) }()
	var err error
	select {
	case err = <-answer:
	case <-ctx.Done():
		err = errors.New("no answer in time")
	}
	return result{c.name, err == nil, c.decides, detail(err)}
}

// live runs the checks of /livez.
func (h *health) live() (bool, []result) {
	h.mu.Lock()
	checks := h.alive
	h.mu.Unlock()
	ok, out := true, []result{}
	for _, c := range checks {
		err := c.run()
		ok = ok && err == nil
		out = append(out, result{c.name, err == nil, true, detail(err)})
	}
	return ok, out
}

func detail(err error) string {
	if err == nil {
		return "ok"
	}
	return fault.Text(err)
}

// failing returns the deciding checks that fail.
func (r report) failing() (names string, texts []string) {
	for _, c := range r.Checks {
		if c.Decides && !c.OK {
			names += " " + c.Name
			texts = append(texts, c.Name+": "+c.Detail)
		}
	}
	return names, texts
}

// watch logs, until ctx ends, when the program becomes ready or not, and what it then waits for.
func (h *health) watch(ctx context.Context, log *zap.Logger) {
	tick := time.NewTicker(checkCache)
	defer tick.Stop()
	said := "nothing yet"
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r, err := h.report(ctx)
		names, texts := r.failing()
		switch {
		case err != nil || names == said:
			continue
		case r.Ready:
			log.Info("ready")
		default:
			log.Warn("not ready", zap.Strings("waiting_for", texts))
		}
		said = names
	}
}
