package worker

import (
	"context"
	"errors"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier/breaker"
)

// seenSick is what a process has seen of its store, judged by rules of the model's own. They are no stricter than the
// program's, and know less: what they hold for certain, it must hold as well. It is under the model's lock.
type seenSick struct {
	row      int       // failures since the last write that went well
	sick     time.Time // until when failures in a row keep everything from being begun
	busy     time.Time // until when a throttle does
	parked   bool      // a probe was denied, and none has passed since
	degraded bool
	good     int       // what may end that, since
	since    time.Time // the latest of these that stands in the way of pulling
}

// storeSaid takes in what came of a call.
func (p *process) storeSaid(ctx context.Context, op, key string, err error) {
	p.model.mu.Lock()
	defer p.model.mu.Unlock()
	now, s := time.Now(), &p.seenSick
	switch class := fault.ClassOf(err); {
	case err == nil:
		if op != "stat" && op != "read" && op != "create" && op != "abort" && op != "abandon" {
			s.row = 0
		}
		if op == "put" || op == "commit" || op == "abort" && key == objstore.ProbeKey {
			s.good++
		}
		s.parked = s.parked && (key != objstore.ProbeKey || op != "abort")
	case op == "abort", op == "abandon", errors.Is(err, errDead), errors.Is(ctx.Err(), context.Canceled):
	case class == fault.Denied && key == objstore.ProbeKey:
		s.parked, s.degraded = true, false // and once a probe passes it is well
	case class == fault.Throttled && !now.Before(s.busy): // one that says no time moves nothing while it is open
		s.busy, s.since = now.Add(modelOpen), now
	case class == fault.Unavailable:
		if s.row++; s.row == modelFailures {
			s.sick, s.degraded, s.good, s.since = now.Add(modelOpen), !s.parked, 0, now
		}
	}
}

// asks holds a pull request for n messages against that. The lock is held.
func (p *process) asks(n int) {
	s, now := p.seenSick, time.Now()
	switch {
	case now.Equal(s.since): // at the same moment: who came first nobody can tell
	case now.Before(s.sick) && s.row >= modelFailures, now.Before(s.busy):
		p.model.breach("nothing is pulled while the breaker is open", "%s asks for %d; %+v", p, n, s)
	case s.degraded && s.good < 3 && n > 1:
		p.model.breach("a degraded tier has one recording in hand", "%s asks for %d; %+v", p, n, s)
	}
}

// probes stands for the keeper's own loop, which looks ten times a second: a bubble's hours would be long.
func (p *process) probes(ctx context.Context) {
	tick := time.NewTicker(modelProbe)
	defer tick.Stop()
	for {
		if p.keeper.breaker.State() != breaker.Open {
			_ = p.keeper.probe(ctx) // what comes of it is told to the keeper
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
