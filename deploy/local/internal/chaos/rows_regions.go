package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/outside"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
	"github.com/twinreel/twinreel/deploy/local/internal/wire"
	"github.com/twinreel/twinreel/pkg/queue"
)

// followAfter stands for the 15 minutes after which a region looks at what the other accepted.
const followAfter = 5 * time.Second

// regionRows are what can go wrong with two regions, each a whole fleet on its own NATS and Redis, over the same stores.
func regionRows() []Row {
	return []Row{
		{
			Name: "region-lost", Group: "Regions", on: alone, manual: true, unproven: true, servers: onRegions, settings: regionSettings(),
			platform: platform.Config{Retries: 3, RetryDelay: 15 * time.Second},
			Injected: "two regions; all of the first killed (-9) in the middle of a burst: NATS, Redis, every program; the name leads to the second then; " +
				"later the first returns",
			Seen: "every webhook is taken within its three retries; what had come over is whole without the first; nothing is doubled when it returns",
			play: loseRegion,
		},
		{
			Name: "regions-told-twice", Group: "Regions", on: alone, manual: true, unproven: true, servers: onRegions, settings: regionSettings(),
			Injected: "two regions; each webhook sent to both at the same time",
			Seen:     "one version, the same sidecar in both stores; each region has looked at all that the other accepted",
			play:     func(ctx context.Context, b *bed) error { return tellBoth(ctx, b, false) },
		},
		{
			Name: "regions-told-twice-cut", Group: "Regions", Short: true, on: alone, manual: true, unproven: true, servers: onRegions, settings: regionSettings(),
			Injected: "two regions between which the line is cut, the first without its worker-backup; each webhook sent to both at the same time; then all is mended",
			Seen:     "one version; sidecars that differ in receivedAt at the most; each region has looked at all that the other accepted",
			play:     func(ctx context.Context, b *bed) error { return tellBoth(ctx, b, true) },
		},
		{
			Name: "regions-cut-off", Group: "Regions", on: alone, manual: true, unproven: true, servers: onRegions, settings: regionSettings(),
			Injected: "two regions that take turns; the line between them cut for 20 s under load, while both reach the stores",
			Seen:     "each goes on by itself, and tells nothing of what only the other knows; both in step once the line is mended",
			play:     cutRegions,
		},
	}
}

// regionSettings are what the programs of both regions are told.
func regionSettings() map[string]string {
	return map[string]string{"TWINREEL_PEER_AFTER": followAfter.String()}
}

// onRegions puts the bed on the first of two regions, with a line between them.
func onRegions(ctx context.Context, b *bed) (err error) {
	b.regions, err = b.stack.StartRegions(ctx, b.world, func(addr string) (string, error) {
		if b.between, err = wire.New("regions", addr); err != nil {
			return "", err
		}
		return b.between.Addr, nil
	})
	if err == nil {
		b.world = b.regions.East.World
	}
	return err
}

// region is one of two regions: a bed on its servers, and what else of it can be killed.
type region struct {
	*bed
	at *stack.Region
}

// openRegions starts both fleets, and a balancer before their ingresses.
func (b *bed) openRegions(ctx context.Context) (first, second *region, lb *balancer, err error) {
	other, err := b.beside(ctx, b.regions.West)
	if err != nil {
		return nil, nil, nil, err
	}
	first, second = &region{b, b.regions.East}, &region{other, b.regions.West}
	for _, r := range []*region{first, second} {
		if err := r.provision(ctx); err != nil {
			return nil, nil, nil, err
		}
		r.queue.peers = true
	}
	var both sync.WaitGroup
	errs := make([]error, 2)
	for i, r := range []*region{first, second} {
		both.Go(func() { errs[i] = r.startPrograms(ctx) })
	}
	both.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, nil, nil, err
	}
	if lb, err = newBalancer(first.ingress, second.ingress); err != nil {
		return nil, nil, nil, err
	}
	b.closers = append(b.closers, lb.close)
	b.platform.SetIngressURL(lb.url)
	return first, second, lb, eventually(ctx, 10*time.Second, "both ingresses are there", lb.has(2))
}

// beside opens a bed on another region, for the same platform.
func (b *bed) beside(ctx context.Context, at *stack.Region) (*bed, error) {
	told := at.Settings()
	maps.Copy(told, regionSettings())
	other, err := b.openBed(ctx, b.stack, at.World, Row{Name: "region-" + at.Name, settings: told, secret: b.secret})
	if err != nil {
		return nil, err
	}
	own := other.platform
	other.platform = b.platform
	b.closers = append(b.closers, own.Close, func() error {
		other.platform = nil // the first bed's
		err := other.close()
		b.saw, b.wrong = append(b.saw, other.saw...), append(b.wrong, other.wrong...)
		return err
	})
	return other, nil
}

// programs are those through which a recording passes.
func (r *region) programs() []*fleet.Program { return []*fleet.Program{r.ingress, r.primary, r.backup} }

// die kills everything of the region at once.
func (r *region) die() error {
	var all sync.WaitGroup
	errs := make(chan error, 5)
	for _, s := range []*stack.Server{r.at.NATS, r.at.Redis} {
		all.Go(func() { errs <- s.Kill() })
	}
	for _, p := range r.programs() {
		all.Go(func() { errs <- p.Kill() })
	}
	all.Wait()
	close(errs)
	var out []error
	for err := range errs {
		out = append(out, err)
	}
	return errors.Join(out...)
}

// rise starts it again.
func (r *region) rise(ctx context.Context) error {
	if err := errors.Join(r.at.NATS.Start(ctx), r.at.Redis.Start(ctx)); err != nil {
		return err
	}
	for _, p := range r.programs() {
		if err := p.Start(); err != nil {
			return err
		}
	}
	return r.ready(ctx, r.programs()...)
}

// comeOver is which recordings of the other region have come over.
func (r *region) comeOver(ctx context.Context) (map[string]int, error) {
	return r.queue.events(ctx, queue.PeerRecordings, keyOf)
}

// loseRegion kills the first of two regions for good in the middle of a burst, and much later lets it return.
func loseRegion(ctx context.Context, b *bed) error {
	first, second, lb, err := b.openRegions(ctx)
	if err != nil {
		return err
	}
	lb.inOrder = true // as a name that leads to the second region only while the first is not ready
	if err := b.warm(ctx); err != nil {
		return err
	}
	if err := b.send(ctx, 2*few); err != nil {
		return err
	}
	d := b.startDrizzle(ctx, 50*time.Millisecond)
	if err := errors.Join(pause(ctx, 2*time.Second), first.die()); err != nil {
		return err
	}
	died, answered := time.Now(), answered(b.platform)
	came, err := second.comeOver(ctx)
	if err != nil {
		return err
	}
	behind := 0
	for key := range answered {
		if came[key] == 0 {
			behind++
		}
	}
	b.see("%d recordings had been answered 200 in the first region when it died, %d of them had not come over", len(answered), behind)
	if err := pause(ctx, 10*time.Second); err != nil {
		return err
	}
	d.finish(b)
	if err := second.rest(ctx); err != nil {
		return err
	}
	b.see("the second region was at rest %s after the loss", seconds(time.Since(died)))
	if err := second.measureLoss(ctx, d, died, fmt.Sprintf("region %s; %d of the %d recordings answered there had not come over", first.at.Name, behind, len(answered))); err != nil {
		return err
	}
	b.loss = second.loss
	if err := second.holds(ctx, answered, came); err != nil {
		return err
	}
	key, err := auditKey(ctx, first)
	if err != nil {
		return err
	}
	if err := second.inStep(ctx, key); err != nil {
		return err
	}

	back := time.Now()
	if err := first.rise(ctx); err != nil {
		return err
	}
	if err := b.bothInStep(ctx, first, second, key); err != nil {
		return err
	}
	b.loss.Whole = time.Since(back)
	return nil
}

// bothInStep waits until each region has looked at all that the other accepted, and proves everything.
func (b *bed) bothInStep(ctx context.Context, first, second *region, key string) error {
	if err := errors.Join(first.follows(ctx, second), second.follows(ctx, first), first.rest(ctx), second.rest(ctx)); err != nil {
		return err
	}
	if err := b.proveStores(ctx); err != nil {
		return err
	}
	for _, r := range []*region{first, second} {
		if err := errors.Join(r.proveLetters(ctx), r.inStep(ctx, key)); err != nil {
			return err
		}
	}
	if got, err := second.fleet.CommandWith(ctx, []string{"TWINREEL_AUDIT_KEY=" + key}, "audit", "verify"); err != nil || got.Code != 0 {
		return errors.Join(err, fmt.Errorf("audit verify ended with %d: %s %s", got.Code, got.Stdout, got.Stderr))
	}
	b.see("both regions' runs find nothing to do, and the log of both is proven")
	return nil
}

// auditKey makes the key that signs both regions' logs.
func auditKey(ctx context.Context, r *region) (string, error) {
	got, err := r.fleet.Command(ctx, "audit", "keygen", "-o", "json")
	if err != nil {
		return "", err
	}
	var key struct{ PrivateKey string }
	err = json.Unmarshal([]byte(got.Stdout), &key)
	return key.PrivateKey, err
}

// inStep has the region's reconciler make a full run, and blames whatever it finds.
func (r *region) inStep(ctx context.Context, key string) error {
	got, err := r.fleet.CommandWith(ctx, []string{"TWINREEL_AUDIT_KEY=" + key, "TWINREEL_RECONCILE_GRACE=0s"}, "once")
	if err != nil {
		return err
	}
	if got.Code != 0 {
		r.blame("a run in %s ended with %d:\n%s%s", r.at.Name, got.Code, got.Stdout, got.Stderr)
	}
	return r.nothingQuarantined(ctx)
}

// nothingQuarantined blames what the region's runs hold for evidence of harm: a run that finds nothing else ends with 0.
func (r *region) nothingQuarantined(ctx context.Context) error {
	got, err := r.fleet.Command(ctx, "quarantine", "list", "-o", "json")
	if err != nil {
		return err
	}
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(got.Stdout), &list); err != nil || got.Code != 0 {
		return errors.Join(err, fmt.Errorf("quarantine list ended with %d: %s", got.Code, got.Stderr))
	}
	for _, one := range list {
		r.blame("in %s there is in quarantine: %s", r.at.Name, one)
	}
	return nil
}

// tellBoth sends every webhook to both regions at the same time, with the line between them cut or not.
func tellBoth(ctx context.Context, b *bed, cut bool) error {
	first, second, _, err := b.openRegions(ctx)
	if err != nil {
		return err
	}
	recordings, _, err := b.platform.Mixture(4*few, largest, 1, 5)
	if err != nil {
		return err
	}
	if b.dates = cut; cut {
		if err := errors.Join(b.between.Cut(), first.backup.Kill()); err != nil {
			return err
		}
	}
	// The balancer takes turns, so that of two that are sent together each gets one.
	b.sendThese(ctx, recordings...)
	b.sendThese(ctx, recordings...)
	if cut {
		if err := errors.Join(second.rest(ctx), b.between.Mend(), first.backup.Start()); err != nil {
			return err
		}
	}
	if err := b.rest(ctx); err != nil {
		return err
	}
	key, err := auditKey(ctx, first)
	if err != nil {
		return err
	}
	return b.bothInStep(ctx, first, second, key)
}

// cutRegions cuts the line between the regions under load.
func cutRegions(ctx context.Context, b *bed) error {
	first, second, _, err := b.openRegions(ctx)
	if err != nil {
		return err
	}
	if err := b.warm(ctx); err != nil {
		return err
	}
	key, err := auditKey(ctx, first)
	if err != nil {
		return err
	}
	d := b.startDrizzle(ctx, 100*time.Millisecond)
	if err := errors.Join(pause(ctx, time.Second), b.between.Cut(), pause(ctx, 10*time.Second)); err != nil {
		return err
	}
	if err := errors.Join(first.inStep(ctx, key), second.inStep(ctx, key), pause(ctx, 10*time.Second)); err != nil {
		return err
	}
	mended := time.Now()
	if err := b.between.Mend(); err != nil {
		return err
	}
	d.end(b)
	if err := b.bothInStep(ctx, first, second, key); err != nil {
		return err
	}
	b.see("both in step %s after the line was mended", seconds(time.Since(mended)))
	return nil
}

// answered is which recordings have been answered 200.
func answered(p *platform.Platform) map[string]bool {
	out := map[string]bool{}
	for _, r := range p.Truth() {
		if len(r.Acknowledged()) > 0 {
			out[r.Key()] = true
		}
	}
	return out
}

// holds holds both stores against all that this region was told: what was answered elsewhere and has not come over may be
// there, or not.
func (r *region) holds(ctx context.Context, elsewhere map[string]bool, came map[string]int) error {
	truth := outside.FromPlatform(r.platform)
	for i := range truth {
		if t := &truth[i]; elsewhere[t.Key] && came[t.Key] == 0 {
			t.Must, t.May = false, true
		}
	}
	return r.compare(ctx, truth)
}

// follows waits until all that the other region has accepted has come over.
func (r *region) follows(ctx context.Context, other *region) error {
	return eventually(ctx, patience, "all of "+other.at.Name+"'s has come over", func(ctx context.Context) error {
		at, err := other.queue.last(ctx, queue.Recordings)
		if err != nil {
			return err
		}
		here, err := r.queue.last(ctx, queue.PeerRecordings)
		if err == nil && here < at {
			err = fmt.Errorf("%d of %d are there", here, at)
		}
		return err
	})
}
