package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
)

// fleetRows are what can go wrong with several instances.
func fleetRows() []Row {
	return []Row{
		{
			Name: "duplicate-fleets", Group: "Fleets", Short: true, Injected: "two full fleets at once on the same streams and stores, each webhook sent to both",
			Seen: "RECORDINGS has each event once, each store one version", play: duplicateFleets,
		},
		{
			Name: "duplicate-fleets-no-redis", Group: "Fleets", Injected: "two full fleets at once, and the line to Redis hangs: nobody can claim anything",
			Seen: "each store has one version", play: func(ctx context.Context, b *bed) error {
				return errors.Join(b.redis.Hang(), duplicateFleets(ctx, b))
			},
		},
		{
			Name: "rolling-restart", Group: "Fleets", manual: true, Injected: "two instances of each program; every one restarted in turn (SIGTERM) under load, behind a balancer",
			Seen: "every webhook is taken, each recording is in RECORDINGS once", play: rollingRestart,
		},
		{
			Name: "one-worker-cut-off", Group: "Fleets", Injected: "two workers a tier; one of each loses its line to NATS for 70 s in the middle of its work, while it still reaches stores and Redis",
			Seen: "the others take over; one version", play: oneCutOff,
		},
		{
			Name: "clock-skew", Group: "Fleets", manual: true, Injected: "ingress' clock 7 minutes behind, worker-primary's 10 ahead, worker-backup's 10 behind (built with another time.Now)",
			Seen: "nothing more", play: clockSkew,
		},
	}
}

// duplicateFleets starts a second fleet beside the first, and sends every webhook to both ingresses at the same time.
func duplicateFleets(ctx context.Context, b *bed) error {
	second := make([]*fleet.Program, 3)
	for i, name := range []string{fleet.Ingress, fleet.WorkerPrimary, fleet.WorkerBackup} {
		p, err := b.start(name)
		if err != nil {
			return err
		}
		second[i] = p
	}
	if err := b.ready(ctx, second...); err != nil {
		return err
	}
	lb, err := newBalancer(b.ingress, second[0])
	if err != nil {
		return err
	}
	b.closers = append(b.closers, lb.close)
	b.platform.SetIngressURL(lb.url)
	if err := eventually(ctx, 10*time.Second, "both ingresses are there", lb.has(2)); err != nil {
		return err
	}
	recordings, _, err := b.platform.Mixture(2*few, largest, 1, 5)
	if err != nil {
		return err
	}
	// The balancer takes turns, so that of two that are sent together each gets one.
	b.sendThese(ctx, recordings...)
	b.sendThese(ctx, recordings...)
	return errors.Join(b.restAgain(ctx, "after the webhooks"), b.onceEach(ctx))
}

// has tells whether the balancer knows of so many ready instances.
func (lb *balancer) has(n int) func(context.Context) error {
	return func(context.Context) error {
		lb.mu.Lock()
		defer lb.mu.Unlock()
		if len(lb.ready) != n {
			return fmt.Errorf("%d are ready", len(lb.ready))
		}
		return nil
	}
}

// pairs starts two instances of each program and a balancer, and returns all of them.
func (b *bed) pairs(ctx context.Context) (all []*fleet.Program, err error) {
	if err := b.provision(ctx); err != nil {
		return nil, err
	}
	for _, name := range []string{fleet.Ingress, fleet.Ingress, fleet.WorkerPrimary, fleet.WorkerPrimary, fleet.WorkerBackup, fleet.WorkerBackup} {
		p, err := b.start(name)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if err := b.ready(ctx, all...); err != nil {
		return nil, err
	}
	lb, err := newBalancer(all[0], all[1])
	if err != nil {
		return nil, err
	}
	b.closers, b.balancer = append(b.closers, lb.close), lb
	b.platform.SetIngressURL(lb.url)
	b.ingress, b.primary, b.backup = all[0], all[2], all[4]
	return all, eventually(ctx, 10*time.Second, "both ingresses are there", lb.has(2))
}

func rollingRestart(ctx context.Context, b *bed) error {
	all, err := b.pairs(ctx)
	if err != nil {
		return err
	}
	for _, p := range all {
		if err := errors.Join(b.send(ctx, few/2), p.Restart(ctx)); err != nil {
			return err
		}
	}
	return errors.Join(b.restAgain(ctx, "after the last restart"), b.onceEach(ctx))
}

// oneCutOff starts a second worker of each tier on a line of its own that it then loses: it is the first that is cut off,
// since what runs already is at work.
func oneCutOff(ctx context.Context, b *bed) error {
	direct := map[string]string{"TWINREEL_NATS_URL": b.world.NATS.TLSURL}
	if err := errors.Join(b.warm(ctx), b.send(ctx, 2*few), pause(ctx, 150*time.Millisecond)); err != nil {
		return err
	}
	for _, name := range []string{fleet.WorkerPrimary, fleet.WorkerBackup} {
		p, err := b.start(name, direct)
		if err != nil {
			return err
		}
		if err := p.Ready(ctx); err != nil {
			return err
		}
	}
	if err := errors.Join(b.nats.Hang(), pause(ctx, 70*time.Second), b.nats.Mend()); err != nil {
		return err
	}
	return b.restAgain(ctx, "after the line was mended")
}

func clockSkew(ctx context.Context, b *bed) error {
	bin, err := b.skewed(ctx)
	if err != nil {
		return err
	}
	b.fleet.Use(bin)
	if err := b.provision(ctx); err != nil {
		return err
	}
	started := make([]*fleet.Program, 3)
	for i, s := range []struct{ program, seconds string }{
		{fleet.Ingress, "-420"}, {fleet.WorkerPrimary, "600"}, {fleet.WorkerBackup, "-600"},
	} {
		if started[i], err = b.start(s.program, map[string]string{tools.SkewVariable: s.seconds}); err != nil {
			return err
		}
	}
	b.ingress, b.primary, b.backup = started[0], started[1], started[2]
	b.platform.SetIngressURL(b.ingress.URL())
	if err := b.ready(ctx, started...); err != nil {
		return err
	}
	return errors.Join(b.send(ctx, few), b.restAgain(ctx, "after the webhooks"))
}

// skewed builds the programs with a clock that can be wrong, once for all rounds.
func (b *bed) skewed(ctx context.Context) (string, error) {
	return tools.Tools{Root: b.Root, Say: b.Say}.BuildSkewed(ctx)
}
