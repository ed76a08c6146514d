package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/transfer"
)

// auditGate publishes audit events and closes the worker's gate while AUDIT refuses them: without its audit event no
// delivery can be acknowledged, so pulling more would only repeat work.
type auditGate struct {
	to       transfer.Auditor
	refusing atomic.Bool
	gauge    prometheus.Gauge
}

// gateEvery is how often a closed gate looks whether AUDIT has room again.
const gateEvery = 5 * time.Second

// Audit implements transfer.Auditor.
func (g *auditGate) Audit(ctx context.Context, a event.Audit) error {
	err := g.to.Audit(ctx, a)
	if ctx.Err() == nil {
		g.set(err != nil)
	}
	return err
}

func (g *auditGate) set(refusing bool) {
	g.refusing.Store(refusing)
	if refusing {
		g.gauge.Set(1)
	} else {
		g.gauge.Set(0)
	}
}

// check is the readiness detail.
func (g *auditGate) check(context.Context) error {
	if g.refusing.Load() {
		return errors.New("the AUDIT stream takes no events, so nothing is pulled: seal and purge it, or raise TWINREEL_AUDIT_MAX_BYTES and provision")
	}
	return nil
}

// watch opens the gate again once AUDIT answers and has room. It ends with ctx.
func (g *auditGate) watch(ctx context.Context, js jetstream.JetStream) {
	tick := time.NewTicker(gateEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if g.refusing.Load() && hasRoom(ctx, js) == nil {
				g.set(false)
			}
		}
	}
}

// room is what AUDIT must have free, in bytes, to be worth another try.
const room = 64 << 10

func hasRoom(ctx context.Context, js jetstream.JetStream) error {
	s, err := js.Stream(ctx, queue.Audit)
	if err != nil {
		return err
	}
	info := s.CachedInfo()
	if limit := info.Config.MaxBytes; limit > 0 && info.State.Bytes+room > uint64(limit) {
		return fmt.Errorf("%d of %d bytes are used", info.State.Bytes, limit)
	}
	return nil
}
