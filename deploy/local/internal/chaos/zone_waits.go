package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/story"
	"github.com/twinreel/twinreel/deploy/local/internal/wire"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// timerBar is what no recording may wait for where none waits for a timer: less than the least that a RETRY_BASE of 30 s and a
// BREAKER_OPEN of 30 s make, and more than a busy machine does.
const timerBar = 20 * time.Second

// refusedBar is for how long webhooks may be refused: a platform sends the last of its retries after 45 s.
const refusedBar = 30 * time.Second

// measureLoss sums up what a loss at that moment cost the webhooks and recordings of the load. The load has ended, and nothing
// is left to do.
func (b *bed) measureLoss(ctx context.Context, d *drizzle, at time.Time, what string) error {
	l := &Loss{What: what}
	b.loss = l
	for _, t := range story.Tiers() {
		if err := b.has(ctx, t, d.count(), time.Minute); err != nil {
			return err
		}
	}
	for _, h := range d.hooks {
		if h.taken.After(at) {
			l.Sent++
			if h.attempts > 1 {
				l.Refused, l.Again = l.Refused+1, max(l.Again, h.first.Sub(at))
			}
		}
		l.Retries = max(l.Retries, h.attempts-1)
		both := h.taken
		for _, t := range story.Tiers() {
			c, ok := b.watch.Copy(t, h.key)
			if !ok {
				b.blame("the audit log tells of no copy of %s in %s", h.key, t)
			} else if c.At.After(both) {
				both = c.At
			}
		}
		l.Waited = max(l.Waited, both.Sub(h.taken))
		if both.Sub(h.taken) > slow {
			l.Step = max(l.Step, both.Sub(at))
		}
	}
	b.see("%d of %d webhooks not taken at the first try, the last of them %s after the loss, all within %d retries; in step after %s", l.Refused, l.Sent, seconds(l.Again), l.Retries, seconds(l.Step))
	if l.Again >= refusedBar {
		b.blame("webhooks were refused until %s after the loss: want %s, well before a platform gives up", seconds(l.Again), refusedBar)
	}
	return nil
}

// sickLine is one way for a zone's line to a store to be ill.
type sickLine struct {
	hurt    func(*wire.Wire) error
	weight  float64       // of the tier while it is
	before  time.Duration // how long the load lasts before, to compare with
	lasting time.Duration
	sound   bool // it only gets slower: nothing fails
	held    int  // so many recordings may wait for as long as a commit may stand still, and the look after it
}

// stepAside makes zone a's line to the backup store ill and looks who waits for what.
func stepAside(line sickLine) func(context.Context, *bed) error {
	return func(ctx context.Context, b *bed) error {
		all, err := b.zones(ctx)
		if err != nil {
			return err
		}
		if err := b.warm(ctx); err != nil {
			return err
		}
		d := b.startDrizzle(ctx, zoneEvery)
		cut, mended, err := b.sicken(ctx, all[0], line)
		d.finish(b)
		if err != nil {
			return err
		}
		if err := b.restAgain(ctx, "after the last webhook"); err != nil {
			return err
		}
		return b.compareWaits(ctx, d, line, cut, mended)
	}
}

// sicken makes the zone's line ill for a while, under load, and sees its worker step aside and come back.
func (b *bed) sicken(ctx context.Context, z *zone, line sickLine) (cut, mended time.Time, err error) {
	if err := pause(ctx, line.before); err != nil {
		return cut, mended, err
	}
	failed, err := b.failures(ctx, z)
	if err != nil {
		return cut, mended, err
	}
	cut = time.Now()
	if err := line.hurt(z.azure); err != nil {
		return cut, mended, err
	}
	if err := eventually(ctx, 90*time.Second, "zone a's worker steps aside", b.stands(line.weight)); err != nil {
		return cut, mended, err
	}
	b.see("the tier's weight was %v after %s", line.weight, seconds(time.Since(cut)))
	if err := pause(ctx, line.lasting-time.Since(cut)); err != nil {
		return cut, mended, err
	}
	after, err := b.failures(ctx, z)
	if err != nil {
		return cut, mended, err
	}
	b.see("zone a's worker handed %v deliveries back", after-failed)
	if line.sound && after > failed {
		b.blame("%v deliveries failed on a line that is only slow", after-failed)
	}
	mended = time.Now()
	if err := z.azure.Mend(); err != nil {
		return cut, mended, err
	}
	return cut, mended, b.sharesAgain(ctx, z, mended)
}

// sharesAgain waits until the tier has its whole weight again, and the zone's worker stores something.
func (b *bed) sharesAgain(ctx context.Context, z *zone, mended time.Time) error {
	if err := eventually(ctx, 4*time.Minute, "zone a's worker has its whole weight again", b.stands(1)); err != nil {
		return err
	}
	b.see("the tier's weight was 1 again %s after the line was mended", seconds(time.Since(mended)))
	had, err := b.deliveries(ctx, z, "stored")
	if err != nil {
		return err
	}
	return eventually(ctx, time.Minute, "zone a's worker takes its share again", func(ctx context.Context) error {
		return counts(ctx, z.backup, had+10, "twinreel_deliveries_total", `outcome="stored"`)
	})
}

// stands tells whether the board gives the backup tier that weight, from two live workers, and ingress follows it.
func (b *bed) stands(weight float64) func(context.Context) error {
	return func(ctx context.Context) error {
		all, err := queue.NewBoard(b.queue.nc, b.queue.js).Read(ctx)
		if err != nil {
			return err
		}
		s := all[tier.Backup]
		if len(s.Views) != 2 || s.Weight() != weight {
			return fmt.Errorf("%d workers tell of a weight of %v", len(s.Views), s.Weight())
		}
		return b.weighs("backup", weight)(ctx)
	}
}

// failures is how many deliveries the zone's worker-backup has handed back, for a failure or because its store takes nothing.
func (b *bed) failures(ctx context.Context, z *zone) (float64, error) {
	retried, err := b.deliveries(ctx, z, "retry")
	if err != nil {
		return 0, err
	}
	parked, err := b.deliveries(ctx, z, "parked")
	return retried + parked, err
}

func (b *bed) deliveries(ctx context.Context, z *zone, outcome string) (float64, error) {
	m, err := z.backup.Metrics(ctx)
	if err != nil {
		return 0, err
	}
	return m.Sum("twinreel_deliveries_total", fmt.Sprintf("outcome=%q", outcome)), nil
}

// compareWaits holds how long recordings waited for their copy in the backup store, while zone a was cut off from it, against
// before and after.
func (b *bed) compareWaits(ctx context.Context, d *drizzle, line sickLine, cut, mended time.Time) error {
	if err := b.has(ctx, "backup", d.count(), time.Minute); err != nil {
		return err
	}
	const inHand = 2 * time.Second // what was acknowledged so long before may have been in hand
	for _, phase := range []struct {
		when     string
		from, to time.Time
	}{{"before", time.Time{}, cut.Add(-inHand)}, {"meanwhile", cut.Add(-inHand), mended}, {"afterwards", mended, time.Now()}} {
		waits := b.waits(d, "backup", phase.from, phase.to)
		if len(waits) == 0 {
			b.blame("no recording came %s", phase.when)
			continue
		}
		longest := slices.Max(waits)
		b.see("%s: from 200 to stored in backup p50 %s, p99 %s, longest %s of %d", phase.when, millis(p50(waits)), millis(p99(waits)), millis(longest), len(waits))
		late := slices.DeleteFunc(waits, func(d time.Duration) bool { return d < timerBar })
		switch {
		case len(late) > line.held:
			b.blame("%s %d recordings waited for more than %s, one for %s: that is a timer", phase.when, len(late), timerBar, seconds(longest))
		case longest >= 2*objstore.StallTimeout+timerBar:
			b.blame("%s a recording waited for %s, longer than two requests may stand still", phase.when, seconds(longest))
		case len(late) > 0:
			b.see("%s %d recordings waited for more than %s", phase.when, len(late), timerBar)
		}
	}
	if len(b.wrong) == 0 {
		return nil
	}
	why, err := whyAgain(b.fleet.Programs()...)
	fmt.Fprintf(b.Say, "handed back: %s\n", why)
	return err
}

// waits are how long the recordings whose webhooks were taken from then on, and until then, waited for a tier's copy.
func (b *bed) waits(d *drizzle, tier string, from, to time.Time) (all []time.Duration) {
	for _, h := range d.hooks {
		if c, ok := b.watch.Copy(tier, h.key); ok && !h.taken.Before(from) && h.taken.Before(to) {
			all = append(all, max(0, c.At.Sub(h.taken)))
		}
	}
	return all
}

// p50 is the middle one.
func p50(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// whyAgain says why the programs handed deliveries back, from what they logged: each reason, and how often.
func whyAgain(programs ...*fleet.Program) (string, error) {
	times := map[string]int{}
	for _, p := range programs {
		text, err := os.ReadFile(p.Log())
		if err != nil {
			return "", err
		}
		for line := range bytes.Lines(text) {
			var said struct{ Msg, Part, Fault, Error string }
			if json.Unmarshal(line, &said) == nil && said.Msg == "copy failed" {
				times[fmt.Sprintf("%s %s, %s: %s", p.Name, said.Part, said.Fault, said.Error)]++
			}
		}
	}
	var all []string
	for _, why := range slices.Sorted(maps.Keys(times)) {
		all = append(all, fmt.Sprintf("%d × %s", times[why], why))
	}
	return strings.Join(all, "; "), nil
}
