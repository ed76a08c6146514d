package worker

import (
	"context"
	"time"

	"github.com/twinreel/twinreel/pkg/tier/breaker"
)

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
