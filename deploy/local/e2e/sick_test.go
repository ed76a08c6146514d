package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/story"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// sickness is how an S3 server may refuse everything, and what must be seen of it.
type sickness struct {
	name    string
	refusal refusal
	state   tier.State
	check   string             // the readiness detail that fails
	metrics map[string]float64 // of worker-primary
	audited []string           // kinds, in this order
	// quiet is for how long at least the store is then left in peace.
	quiet time.Duration
}

func sicknesses() []sickness {
	return []sickness{
		{
			name: "throttles", refusal: refusal{http.StatusServiceUnavailable, "SlowDown", "6"}, state: tier.Healthy, check: "breaker",
			metrics: map[string]float64{"twinreel_breaker_state": 2, "twinreel_tier_parked": 0, "twinreel_backfill_open": 0}, quiet: 3 * time.Second,
		},
		{
			name: "fails", refusal: refusal{http.StatusInternalServerError, "InternalError", ""}, state: tier.Degraded, check: "tier",
			metrics: map[string]float64{"twinreel_tier_degraded": 1, "twinreel_backfill_open": 0}, audited: []string{"tier_degraded", "tier_recovered"},
		},
		{
			name: "denies", refusal: refusal{http.StatusForbidden, "AccessDenied", ""}, state: tier.Parked, check: "tier",
			metrics: map[string]float64{"twinreel_breaker_state": 0, "twinreel_tier_parked": 1, "twinreel_backfill_open": 0},
			audited: []string{"tier_parked", "tier_recovered"},
		},
	}
}

// given an S3 server that throttles, fails or denies everything, when webhooks come, then worker-primary stops pulling and
// says so, backup goes on alone, and once the server is well again primary takes it all up by itself, with nothing given up.
func TestASickTierIsLeftAloneAndComesBackByItself(t *testing.T) {
	t.Parallel()
	for i, s := range sicknesses() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, setup{bare: true, platform: platform.Config{Seed: uint64(700 + i)}, env: map[string]string{"TWINREEL_CONCURRENCY": "4"}})
			b.sick(s)
		})
	}
}

func (b *bed) sick(s sickness) {
	b.t.Helper()
	const well, ill = 5, 40
	ctx := b.t.Context()
	f := b.startBehind()
	watch, err := story.StartWatch(ctx, b.stack.NATSAccess)
	b.must(err)
	b.t.Cleanup(watch.Close)
	for range well {
		b.send(b.add(platform.Spec{Size: 20000}))
	}
	b.settle()

	f.answer.Store(&s.refusal)
	for range ill {
		b.send(b.add(platform.Spec{Size: 20000}))
	}
	alone, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	b.must(watch.Wait(alone, "backup", well+ill))
	b.eventually(20*time.Second, "the board says it", func(ctx context.Context) error { return b.seen(ctx, s.state) })
	b.eventually(20*time.Second, "readiness tells it and does not hang on it", func(ctx context.Context) error {
		return degraded(b.check(ctx, b.primary, s.check))
	})
	b.eventually(20*time.Second, "the metrics show it", func(ctx context.Context) error { return shows(ctx, b.primary, s.metrics) })
	b.leftInPeace(f, s.quiet)
	b.noLetters()

	f.answer.Store(nil)
	b.settle()
	b.eventually(time.Minute, "it is well again", func(ctx context.Context) error { return b.seen(ctx, tier.Healthy) })
	b.sound(well + ill)
	b.noLetters()
	b.turned(s.audited)
}

// startBehind starts everything, the primary's store behind a front.
func (b *bed) startBehind() *front {
	b.t.Helper()
	b.must(b.fleet.Provision(b.t.Context()))
	f := b.newFront(b.stack.S3Access.Endpoint)
	for _, p := range []struct {
		into **fleet.Program
		name string
		env  map[string]string
	}{
		{&b.ingress, fleet.Ingress, nil}, {&b.primary, fleet.WorkerPrimary, map[string]string{"TWINREEL_S3_ENDPOINT": f.URL}}, {&b.backup, fleet.WorkerBackup, nil},
	} {
		var err error
		*p.into, err = b.fleet.Start(p.name, p.env)
		b.must(err)
	}
	for _, p := range b.fleet.Programs() {
		b.must(p.Ready(b.t.Context()))
	}
	b.platform.SetIngressURL(b.ingress.URL())
	return f
}

// seen tells whether the board shows primary in that state, of no weight unless it is well, and backup well.
func (b *bed) seen(ctx context.Context, want tier.State) error {
	nc, js, err := b.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	all, err := queue.NewBoard(nc, js).Read(ctx)
	if err != nil {
		return err
	}
	for _, v := range all[tier.Backup].Views {
		if v.State != tier.Healthy {
			return fmt.Errorf("backup is %+v", v)
		}
	}
	for _, v := range all[tier.Primary].Views {
		if v.State != want {
			return fmt.Errorf("primary is %+v, want %s", v, want)
		}
		return nil
	}
	return errors.New("nobody says anything of primary")
}

// shows tells whether a program's metrics have these values.
func shows(ctx context.Context, p *fleet.Program, want map[string]float64) error {
	m, err := p.Metrics(ctx)
	if err != nil {
		return err
	}
	for name, v := range want {
		if got := m.Sum(name); got != v {
			return fmt.Errorf("%s is %v, want %v", name, got, v)
		}
	}
	return nil
}

// leftInPeace says that, for so long, the store must not be asked anything.
func (b *bed) leftInPeace(f *front, long time.Duration) {
	b.t.Helper()
	if long == 0 {
		return
	}
	b.eventually(time.Minute, "the store is left in peace", func(ctx context.Context) error {
		before := f.asked.Load()
		wait := time.NewTimer(long)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if n := f.asked.Load() - before; n != 0 {
			return fmt.Errorf("it was asked %d times within %s", n, long)
		}
		return nil
	})
}

// turned says which changes of primary's state the audit log must have begun with, in this order.
func (b *bed) turned(want []string) {
	b.t.Helper()
	var got []string
	b.must(b.each(b.t.Context(), queue.Audit, func(m *jetstream.RawStreamMsg) {
		if kind, isTier := strings.CutPrefix(m.Subject, "audit.tier_"); isTier {
			kind, _, _ = strings.Cut(kind, ".")
			got = append(got, "tier_"+kind)
		}
	}))
	if len(got) < len(want) || strings.Join(got[:len(want)], " ") != strings.Join(want, " ") {
		b.t.Errorf("the audit log has %v, want %v", got, want)
	}
}
