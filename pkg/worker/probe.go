package worker

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/tier/breaker"
	"github.com/twinreel/twinreel/pkg/transfer"
)

// Times of probing.
const (
	probeTimeout = 10 * time.Second       // a store that takes longer for eight bytes has failed
	probeLook    = 100 * time.Millisecond // how often it is looked whether a probe is due
)

// probe makes a probe write and returns what came of it. Who asks while one is under way gets what comes of that one.
func (k *keeper) probe(ctx context.Context) error {
	answer := k.flight.DoChan("", func() (any, error) { return nil, k.write(context.WithoutCancel(ctx)) })
	select {
	case a := <-answer:
		return a.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write makes one probe write. Its failures are told by the store's observer; what it alone tells is a denial and how
// long it took.
func (k *keeper) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	began := k.now()
	err := transfer.Probe(ctx, k.store)
	now := k.now()
	switch {
	case err == nil:
		k.health.Passed(now, now.Sub(began), k.inHand.Load() == 0)
	case fault.Is(err, fault.Denied, fault.Store):
		k.health.Denied(now, fault.Text(err))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.probed = err
	return err
}

// probes makes a probe write each interval until ctx ends, and at once when an open breaker may be half-opened. While it
// is open there is none: a store that asked for peace gets it.
func (k *keeper) probes(ctx context.Context) {
	tick := time.NewTicker(probeLook)
	defer tick.Stop()
	due, was := k.now(), breaker.Closed
	for {
		is := k.breaker.State()
		if is != breaker.Open && (was == breaker.Open || !k.now().Before(due)) {
			err := k.probe(ctx)
			if err != nil && ctx.Err() == nil && !fault.Is(err, fault.Denied, fault.Store) { // a denial is told once a minute, see teller
				k.log.Warn("probe write failed", zap.Stringer("tier", k.tier), zap.Stringer("fault", fault.ClassOf(err)), zap.String("error", fault.Text(err)))
			}
			due = k.now().Add(k.config.ProbeInterval)
		}
		was = is
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// answers is the readiness detail of the store: what came of the latest probe write.
func (k *keeper) answers(context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.probed != nil {
		return errors.New(fault.Text(k.probed))
	}
	return nil
}
