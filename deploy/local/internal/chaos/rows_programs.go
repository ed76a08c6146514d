package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/gate"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/pkg/queue"
)

// programRows tell the programs to end in the middle of everything.
func programRows() []Row {
	const back = "exit 0, and what it held is back on the queue at once, not after AckWait"
	return []Row{
		{
			Name: "sigterm-workers", Group: "Shutdown", Short: true, Injected: "SIGTERM to both workers in the middle of a load, then two new ones", Seen: back,
			play: func(ctx context.Context, b *bed) error { return b.endWorkers(ctx, 0) },
		},
		{
			Name: "sigterm-slow-source", Group: "Shutdown", settings: map[string]string{"TWINREEL_DRAIN_TIMEOUT": "2s"},
			Injected: "SIGTERM to both workers while a recording trickles in that takes longer than they have to drain", Seen: back,
			play: func(ctx context.Context, b *bed) error { return b.endWorkers(ctx, 1*mib) },
		},
		{
			Name: "sigterm-hanging-store", Group: "Shutdown", settings: map[string]string{"TWINREEL_DRAIN_TIMEOUT": "2s"},
			Injected: "SIGTERM to worker-primary while S3 never answers", Seen: back, play: endWhileStoreHangs,
		},
		{
			Name: "sigterm-nats-away", Group: "Shutdown", settings: map[string]string{"TWINREEL_DRAIN_TIMEOUT": "2s"},
			Injected: "SIGTERM to every program while the line to NATS hangs", Seen: "exit 0; the message comes again after AckWait", play: endWhileNATSHangs,
		},
		{
			Name: "sigterm-ingress", Group: "Shutdown", Injected: "SIGTERM to ingress ten times under load, and started again", Seen: "exit 0; every webhook is taken in the end, once",
			play: endIngress,
		},
	}
}

// atOnce is longer than anything that is handed back at once may take to be done, and shorter than AckWait.
const atOnce = queue.AckWait - 15*time.Second

// endWorkers ends both workers under load and starts new ones. trickle is how many bytes a second one recording brings.
func (b *bed) endWorkers(ctx context.Context, trickle int64) error {
	if err := b.warm(ctx); err != nil {
		return err
	}
	slow, err := b.add(platform.Spec{Size: 20 * mib, SendSize: true, Faults: platform.Faults{BytesPerSecond: max(trickle, 8*mib)}})
	if err != nil {
		return err
	}
	before, err := b.primary.Metrics(ctx)
	if err != nil {
		return err
	}
	b.sendThese(ctx, slow)
	some := before.Sum("twinreel_transfer_bytes_total") + mib
	underWay := func(ctx context.Context) error { return counts(ctx, b.primary, some, "twinreel_transfer_bytes_total") }
	if err := errors.Join(b.send(ctx, few), eventually(ctx, time.Minute, "the recording is under way", underWay)); err != nil {
		return err
	}
	start := time.Now()
	if err := errors.Join(b.primary.Stop(), b.backup.Stop()); err != nil {
		return err
	}
	b.see("both ended with 0 within %s", seconds(time.Since(start)))
	slow.SetFaults(platform.Faults{})
	return b.takeOver(ctx, start, "primary", "backup")
}

// takeOver starts new workers of these tiers and holds how soon they are done against what hand-back promises.
func (b *bed) takeOver(ctx context.Context, since time.Time, tiers ...string) error {
	for _, t := range tiers {
		p, err := b.start("worker-" + t)
		if err != nil {
			return err
		}
		if err := p.Ready(ctx); err != nil {
			return err
		}
	}
	if err := b.rest(ctx); err != nil {
		return err
	}
	took := time.Since(since)
	b.see("all at rest %s after SIGTERM", seconds(took))
	if took > atOnce {
		b.blame("all at rest only %s after SIGTERM: what was held came back by AckWait", seconds(took))
	}
	return nil
}

func endWhileStoreHangs(ctx context.Context, b *bed) error {
	if err := b.warm(ctx); err != nil {
		return err
	}
	b.s3.Set(gate.Rule{Hold: true})
	held := func(context.Context) error {
		if b.s3.Taken() < 3 {
			return fmt.Errorf("%d requests hang", b.s3.Taken())
		}
		return nil
	}
	if err := errors.Join(b.send(ctx, few), eventually(ctx, time.Minute, "requests hang", held)); err != nil {
		return err
	}
	start := time.Now()
	if err := b.primary.Stop(); err != nil {
		return err
	}
	b.see("ended with 0 within %s", seconds(time.Since(start)))
	b.s3.Set()
	return b.takeOver(ctx, start, "primary")
}

func endWhileNATSHangs(ctx context.Context, b *bed) error {
	if err := errors.Join(b.warm(ctx), b.send(ctx, few), pause(ctx, 100*time.Millisecond), b.nats.Hang()); err != nil {
		return err
	}
	start := time.Now()
	for _, p := range []*fleet.Program{b.ingress, b.primary, b.backup} {
		if err := p.Stop(); err != nil {
			return err
		}
	}
	b.see("all three ended with 0 within %s", seconds(time.Since(start)))
	if err := b.nats.Mend(); err != nil {
		return err
	}
	for _, p := range []*fleet.Program{b.ingress, b.primary, b.backup} {
		if err := p.Start(); err != nil {
			return err
		}
	}
	return errors.Join(b.ready(ctx, b.ingress, b.primary, b.backup), b.restAgain(ctx, "after they were started again"))
}

func endIngress(ctx context.Context, b *bed) error {
	if err := b.warm(ctx); err != nil {
		return err
	}
	for range 10 {
		if err := errors.Join(b.send(ctx, 4), pause(ctx, 50*time.Millisecond), b.ingress.Restart(ctx)); err != nil {
			return err
		}
	}
	return errors.Join(b.restAgain(ctx, "after the last restart"), b.onceEach(ctx))
}
