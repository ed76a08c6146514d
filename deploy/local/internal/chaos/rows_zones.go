package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/wire"
)

// zoneEvery is how often a webhook comes while zones are lost.
const zoneEvery = 100 * time.Millisecond

// trickles lets every fifth recording come from its source in three seconds, so that at any moment every worker has something in
// hand that it can lose.
func trickles(n int) platform.Spec {
	s := platform.Spec{Size: 20_000, SendSize: true}
	if n%5 == 0 {
		s.Size, s.Faults.BytesPerSecond = 60_000, 20_000
	}
	return s
}

// zoneRows are what can go wrong with a zone, in a fleet of two that work and a third that votes. Its settings are those of
// production, so that what is measured is what will be seen.
func zoneRows() []Row {
	production := map[string]string{
		"TWINREEL_NATS_REPLICAS": "3", "TWINREEL_RETRY_BASE": "5s", "TWINREEL_RETRY_CAP": "5m", "TWINREEL_BREAKER_OPEN": "30s", "TWINREEL_PROBE_INTERVAL": "10s",
	}
	row := func(name, injected, seen string, play func(context.Context, *bed) error, over ...map[string]string) Row {
		env := maps.Clone(production)
		for _, more := range over {
			maps.Copy(env, more)
		}
		return Row{
			Name: name, Group: "Zones", on: alone, manual: true, servers: onBoth, settings: env, play: play, Injected: injected, Seen: seen,
			platform: platform.Config{Retries: 3, RetryDelay: 15 * time.Second},
		}
	}
	lost := "every webhook is taken within its three retries; without the zone both tiers catch up, and with it everything is whole again"
	aside := "its worker steps aside by its weight and the other zone's takes over; no recording waits for a timer (RETRY_BASE is 30 s here, so that one would be seen); mended, it takes its share again"
	patient := map[string]string{"TWINREEL_RETRY_BASE": "30s"}
	cut := sickLine{hurt: (*wire.Wire).Cut, weight: 0.5, before: 20 * time.Second, lasting: 45 * time.Second}
	brief := cut
	brief.before, brief.lasting = 5*time.Second, 8*time.Second
	hung := cut
	hung.hurt, hung.lasting, hung.held = (*wire.Wire).Hang, 90*time.Second, 16
	slowed := sickLine{hurt: func(w *wire.Wire) error { return w.Slow(300, 0) }, weight: 0.75, before: cut.before, lasting: cut.lasting, sound: true}
	briefly := row("zone-cut-briefly", "the same for 8 s, with probes and a breaker that are quick", aside, stepAside(brief), patient,
		map[string]string{"TWINREEL_BREAKER_OPEN": "3s", "TWINREEL_PROBE_INTERVAL": "500ms"})
	briefly.Short = true
	return []Row{
		row("zone-lost-leading", "everything in zone a killed (-9) at once under load: it leads every stream, every consumer, the cluster and Redis", lost, losing(0, 0)),
		row("zone-lost-following", "everything in zone b killed (-9) at once under load: it works, and leads nothing", lost, losing(1, 0)),
		row("zone-lost-voting", "everything in zone c killed (-9) at once under load: it only votes, and leads every stream, every consumer and the cluster", lost, losing(2, 2)),
		row("zone-frozen", "everything in zone a, which leads everything, frozen (SIGSTOP) under load for 75 s, longer than leases and ack waits last", lost, freezeZone),
		row("zone-cut-from-backup", "zone a's line to the backup store refuses every connection for 45 s under load; all else is well", aside, stepAside(cut), patient),
		briefly,
		row("zone-hung-from-backup", "zone a's line to the backup store stays open and brings nothing more for 90 s under load; all else is well",
			"its worker steps aside by its weight and the other zone's takes over; but for what it had in hand (16 recordings), which waits for as long as a commit may stand still (60 s) and the look after it, none waits for a timer; mended, it takes its share again",
			stepAside(hung), patient),
		row("zone-slow-to-backup", "zone a's line to the backup store is slow (300 ms each way) for 45 s under load; all else is well", aside+"; it fails nothing",
			stepAside(slowed), patient, map[string]string{"TWINREEL_PROBE_INTERVAL": "1s"}),
	}
}

// losing loses a zone while another, or the same, leads all of NATS.
func losing(zone, leader int) func(context.Context, *bed) error {
	return func(ctx context.Context, b *bed) error {
		all, err := b.zones(ctx)
		if err != nil {
			return err
		}
		z := all[zone]
		d, at, err := b.underLoad(ctx, z, all[leader], z.lose)
		if err != nil {
			return err
		}
		// The load ends while the zone is away: what was acknowledged has to be stored without it.
		if err := pause(ctx, 30*time.Second); err != nil {
			return err
		}
		d.finish(b)
		if err := b.restAgain(ctx, "after the last webhook, without the zone"); err != nil {
			return err
		}
		if err := b.measureLoss(ctx, d, at, "zone "+z.name+", "+b.ledBy(zone, leader)); err != nil {
			return err
		}
		back := time.Now()
		if err := z.comeBack(ctx, b); err != nil {
			return err
		}
		if err := eventually(ctx, 2*time.Minute, "everything is whole again", b.cluster.Whole); err != nil {
			return err
		}
		b.loss.Whole = time.Since(back)
		return errors.Join(b.send(ctx, few), b.restAgain(ctx, "with the zone back"), b.onceEach(ctx))
	}
}

// ledBy says what the zone that is lost leads.
func (b *bed) ledBy(zone, leader int) string {
	switch {
	case zone != leader:
		return "which leads nothing"
	case zone == 0:
		return "which leads all of NATS and Redis"
	}
	return "which leads all of NATS"
}

// freezeZone freezes the zone that leads, for longer than anything that it holds holds.
func freezeZone(ctx context.Context, b *bed) error {
	all, err := b.zones(ctx)
	if err != nil {
		return err
	}
	z := all[0]
	d, at, err := b.underLoad(ctx, z, z, z.freeze)
	if err != nil {
		return err
	}
	if err := errors.Join(pause(ctx, 75*time.Second), z.thaw()); err != nil {
		d.finish(b)
		return err
	}
	back := time.Now()
	err = eventually(ctx, 2*time.Minute, "everything is whole again", b.cluster.Whole)
	whole := time.Since(back)
	d.finish(b)
	if err := errors.Join(err, b.restAgain(ctx, "after the last webhook"), b.measureLoss(ctx, d, at, "zone a, frozen for 75 s, which led all of NATS and Redis")); err != nil {
		return err
	}
	b.loss.Whole = whole
	return b.onceEach(ctx)
}

// underLoad lets one zone's server lead all of NATS, brings the load up, does something to a zone and returns when that was.
func (b *bed) underLoad(ctx context.Context, z, leader *zone, do func() error) (d *drizzle, at time.Time, err error) {
	err = eventually(ctx, time.Minute, "zone "+leader.name+" leads NATS", func(ctx context.Context) error { return b.cluster.LeadFrom(ctx, leader.nats) })
	if err != nil {
		return nil, at, err
	}
	if err := errors.Join(b.warm(ctx), eventually(ctx, time.Minute, "everything is whole", b.cluster.Whole)); err != nil {
		return nil, at, err
	}
	d = b.startDrizzleOf(ctx, zoneEvery, trickles)
	if err := pause(ctx, 10*time.Second); err != nil {
		d.finish(b)
		return nil, at, err
	}
	at = time.Now()
	if err := do(); err != nil {
		d.finish(b)
		return nil, at, fmt.Errorf("to zone %s: %w", z.name, err)
	}
	return d, at, nil
}
