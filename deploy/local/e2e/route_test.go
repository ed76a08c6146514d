package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/story"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// heeds is how long ingress may take to heed a change on the tiers' board.
const heeds = 3 * time.Second

// board is the tiers' board, on a connection of the test's own.
func (b *bed) board() *queue.Board {
	b.t.Helper()
	nc, js, err := b.connect()
	b.must(err)
	b.t.Cleanup(nc.Close)
	return queue.NewBoard(nc, js)
}

// weighs tells whether an ingress gives the tiers these weights.
func weighs(ctx context.Context, p *fleet.Program, primary, backup float64) error {
	m, err := p.Metrics(ctx)
	if err != nil {
		return err
	}
	got := [2]float64{m.Sum("twinreel_tier_weight", `tier="primary"`), m.Sum("twinreel_tier_weight", `tier="backup"`)}
	if got != [2]float64{primary, backup} {
		return fmt.Errorf("primary and backup weigh %v, want %v and %v", got, primary, backup)
	}
	return nil
}

// subjects counts the events in RECORDINGS by subject.
func (b *bed) subjects() map[string]int {
	b.t.Helper()
	out := map[string]int{}
	b.must(b.each(b.t.Context(), queue.Recordings, func(m *jetstream.RawStreamMsg) { out[m.Subject]++ }))
	return out
}

// given a primary that is said to be degraded, when webhooks come, then backup alone takes them; once primary is there
// again it takes what it missed, and new ones go to both.
func TestADegradedTierTakesItsShareLater(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{platform: platform.Config{Seed: 44}})
	watch, err := story.StartWatch(t.Context(), b.stack.NATSAccess)
	b.must(err)
	t.Cleanup(watch.Close)
	b.must(b.primary.Stop())
	board := b.board()
	const worker = "elsewhere-abcdef"
	b.must(board.Tell(t.Context(), tier.Primary, worker, tier.View{State: tier.Degraded, Reason: "said by a test"}))
	b.eventually(heeds, "ingress heeds it", func(ctx context.Context) error { return weighs(ctx, b.ingress, 0, 1) })
	missed, _ := b.mixture(20, 20*mib, 1, 44)
	for _, r := range missed {
		b.send(r)
	}
	if got := b.subjects(); got["recordings.completed.backup"] != len(missed) || len(got) != 1 {
		t.Errorf("while primary was degraded events came to %v", got)
	}
	alone, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b.must(watch.Wait(alone, "backup", len(missed)))
	if n, _ := watch.Count("primary"); n != 0 {
		t.Errorf("primary has %d copies, and nobody to make them", n)
	}

	b.must(board.Withdraw(t.Context(), tier.Primary, worker))
	b.eventually(heeds, "ingress heeds that it is taken back", func(ctx context.Context) error { return weighs(ctx, b.ingress, 1, 1) })
	late := b.add(platform.Spec{Size: 5000})
	b.send(late)
	if got := b.subjects(); got["recordings.completed.both"] != 1 {
		t.Errorf("with both tiers well events came to %v", got)
	}
	b.must(b.primary.Start())
	b.must(b.primary.Ready(t.Context()))
	b.settle()
	b.sound(len(missed) + 1)
	b.noLetters()
	b.completed(append(missed, late), 5)
}

// given a view and a pause on the board, when NATS is killed, and started again at once or after more than a minute, then
// the view lapses, for ingress and on the server, and the pause stands until it is taken back.
func TestTheBoardOverARestartOfNATS(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{bare: true, platform: platform.Config{Seed: 45}})
	b.must(b.fleet.Provision(t.Context()))
	ingress, err := b.fleet.Start(fleet.Ingress, nil)
	b.must(err)
	b.must(ingress.Ready(t.Context()))
	board := b.board()
	b.must(board.Pause(t.Context(), tier.Primary, tier.Pause{Reason: "said by a test", By: "test"}))
	b.must(board.Tell(t.Context(), tier.Backup, "elsewhere-abcdef", tier.View{State: tier.Degraded}))
	is := func(primary, backup float64) func(context.Context) error {
		return func(ctx context.Context) error { return weighs(ctx, ingress, primary, backup) }
	}
	b.eventually(heeds, "ingress heeds both", is(0, 0))

	b.must(b.stack.NATS.Kill())
	b.must(b.stack.NATS.Start(t.Context()))
	b.must(ingress.Ready(t.Context()))
	b.must(is(0, 0)(t.Context()))
	stands := func(views int) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		s, err := board.Read(ctx)
		if err == nil && (s[tier.Primary].Pause == nil || len(s[tier.Backup].Views) != views) {
			err = fmt.Errorf("on the board stands %+v", s)
		}
		return err
	}
	b.eventually(10*time.Second, "the server that was killed has both", func(context.Context) error { return stands(1) })
	b.must(board.Tell(t.Context(), tier.Backup, "elsewhere-abcdef", tier.View{State: tier.Degraded}))
	b.eventually(heeds, "ingress still follows", is(0, 0))

	b.must(b.stack.NATS.Kill())
	b.eventually(70*time.Second, "the view lapses by ingress's clock, the pause does not", is(0, 1))
	b.must(b.stack.NATS.Start(t.Context()))
	b.eventually(10*time.Second, "the server has the pause and not the view", func(context.Context) error { return stands(0) })
	b.must(ingress.Ready(t.Context()))
	b.eventually(heeds, "ingress has the pause alone", is(0, 1)) // it may have read the view in its last moment on the server
	b.must(board.Resume(t.Context(), tier.Primary))
	b.eventually(heeds, "ingress heeds the end of the pause", is(1, 1))
	b.platform.SetIngressURL(ingress.URL())
	b.send(b.add(platform.Spec{Size: 5000, Expect: platform.ExpectAbsent}))
}
