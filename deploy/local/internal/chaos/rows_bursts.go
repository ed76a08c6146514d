package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/gate"
)

// Of a burst of throttling.
const (
	burstFor   = 2 * time.Minute
	burstEvery = 200 * time.Millisecond // a webhook
	caughtUp   = 5                      // recordings that a tier may be behind and still be at the front: a second's
	burstSeen  = "the sibling keeps pace; with the load going on, the tier has caught up in less time than the burst took; no webhook above a second (p99)"
)

// burstRow lets a tier's store throttle for minutes under a steady load.
func burstRow(cloud, name, tier, code string, at func(*bed) *gate.Gate) Row {
	return Row{
		Name: name, Group: cloud, Seen: burstSeen,
		Injected: fmt.Sprintf("%s answers 429 with Retry-After: 2 to everything for %s, under a steady load of %d webhooks a second", cloud, burstFor, time.Second/burstEvery),
		play: func(ctx context.Context, b *bed) error {
			return b.burst(ctx, tier, at(b), gate.Answer{Status: http.StatusTooManyRequests, Code: code, RetryAfter: 2 * time.Second})
		},
	}
}

// burst throttles a tier's store for minutes, and sees how fast the tier falls behind, and how fast it catches up.
func (b *bed) burst(ctx context.Context, tier string, g *gate.Gate, a gate.Answer) error {
	if err := b.warm(ctx); err != nil {
		return err
	}
	before := map[string]int{tier: b.have(tier), sibling(tier): b.have(sibling(tier))}
	d := b.startDrizzle(ctx, burstEvery)
	behind := func(tier string) int { return d.count() - (b.have(tier) - before[tier]) }
	g.Set(gate.Rule{Answer: &a})
	err := pause(ctx, burstFor)
	grown, at := behind(tier), behind(sibling(tier))
	g.Set()
	if err == nil {
		err = b.catchUp(ctx, tier, grown, behind)
	}
	d.end(b)
	if at > caughtUp {
		b.blame("%s was %d recordings behind at the burst's end", sibling(tier), at)
	}
	return errors.Join(err, b.restAgain(ctx, "after the last webhook"))
}

// catchUp waits until a tier that is so much behind is at the front again.
func (b *bed) catchUp(ctx context.Context, tier string, grown int, behind func(string) int) error {
	start := time.Now()
	if err := eventually(ctx, patience, tier+" catches up", func(context.Context) error {
		if n := behind(tier); n > caughtUp {
			return fmt.Errorf("it is %d recordings behind", n)
		}
		return nil
	}); err != nil {
		return err
	}
	took := time.Since(start)
	b.see("%s fell behind by %d recordings (%.1f a second), and had caught up %s later (%.1f a second, beside the load)", tier, grown,
		float64(grown)/burstFor.Seconds(), seconds(took), float64(grown)/took.Seconds())
	if took >= burstFor {
		b.blame("%s drained more slowly than it had grown", tier)
	}
	if grown < int(burstFor/burstEvery)/2 {
		b.blame("%s was only %d recordings behind after the burst: it was not felt", tier, grown)
	}
	return nil
}
