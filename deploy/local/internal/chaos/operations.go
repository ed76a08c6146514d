package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
)

// reaches asks a program's readiness for one check.
func reaches(p *fleet.Program, name string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, body, err := p.Readyz(ctx)
		if err != nil {
			return err
		}
		var said struct {
			Checks []struct {
				Name, Detail string
				OK           bool
			}
		}
		if err := json.Unmarshal(body, &said); err != nil {
			return err
		}
		for _, c := range said.Checks {
			if c.Name == name && c.OK {
				return nil
			}
		}
		return fmt.Errorf("%s says %s", p.Name, body)
	}
}

// operate does to a fleet what operators and zones do, under a drizzle of webhooks.
func operate(ctx context.Context, b *bed) error {
	all, err := b.pairs(ctx)
	if err != nil {
		return err
	}
	d := b.startDrizzle(ctx, 50*time.Millisecond)
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"the NATS leader's death", func() error { return b.leaderDies(ctx) }},
		{"every program replaced", func() (err error) { all, err = b.replaceAll(ctx, all); return err }},
		{"a zone's loss", func() error { return b.loseZone(ctx, all) }},
	} {
		start := time.Now()
		if err := errors.Join(pause(ctx, 2*time.Second), step.do()); err != nil {
			d.end(b)
			return fmt.Errorf("%s: %w", step.what, err)
		}
		fmt.Fprintf(b.Say, "operations: %s took %s\n", step.what, seconds(time.Since(start)))
	}
	d.end(b)
	return b.restAgain(ctx, "after the last webhook")
}

func (b *bed) leaderDies(ctx context.Context) error {
	dead, err := b.killLeader(ctx)
	if err != nil {
		return err
	}
	return errors.Join(pause(ctx, 5*time.Second), dead.Start(ctx))
}

// replaceAll replaces each instance in turn: the first of each pair by the other version, so that both run side by side,
// then the second; then all of them by the new one again.
func (b *bed) replaceAll(ctx context.Context, all []*fleet.Program) ([]*fleet.Program, error) {
	versions := []string{b.Bin, b.Bin}
	if b.Old != "" {
		versions[0] = b.Old
		b.see("versions mixed: this one and an earlier one")
	} else {
		b.see("the same version twice: no earlier one was given (--old)")
	}
	order := []int{4, 0, 2, 5, 1, 3} // workers and ingress in any order
	for _, bin := range versions {
		for _, i := range order {
			b.fleet.Use(bin)
			program := all[i].Name[:strings.LastIndexByte(all[i].Name, '-')]
			next, err := b.start(program)
			if err != nil {
				return nil, err
			}
			if err := next.Ready(ctx); err != nil {
				return nil, err
			}
			b.balancer.replace(all[i], next)
			if err := all[i].Stop(); err != nil {
				return nil, err
			}
			all[i] = next
		}
	}
	return all, nil
}

// loseZone kills one of everything at once, lets the rest live alone for a while, and brings the zone back.
func (b *bed) loseZone(ctx context.Context, all []*fleet.Program) error {
	programs := []*fleet.Program{all[0], all[2], all[4]}
	servers := []*stack.Server{b.cluster.Nodes[0], b.sentinels.Servers[0], b.sentinels.Sentinels[0]}
	var kills sync.WaitGroup
	errs := make(chan error, len(programs)+len(servers))
	for _, p := range programs {
		kills.Go(func() { errs <- p.Kill() })
	}
	for _, s := range servers {
		kills.Go(func() { errs <- s.Kill() })
	}
	kills.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	if err := pause(ctx, 10*time.Second); err != nil {
		return err
	}
	for _, s := range servers[:2] {
		if err := s.Start(ctx); err != nil {
			return err
		}
	}
	for _, p := range programs {
		if err := p.Start(); err != nil {
			return err
		}
	}
	return b.ready(ctx, programs...)
}
