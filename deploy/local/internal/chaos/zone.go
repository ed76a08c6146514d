package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
	"github.com/twinreel/twinreel/deploy/local/internal/wire"
)

// zone is what stands and falls together: servers, programs, and a line of its own to the backup store.
type zone struct {
	name     string
	nats     *stack.Server
	servers  []*stack.Server // NATS among them, a Sentinel, and where recordings are worked on a Redis
	programs []*fleet.Program

	ingress, primary, backup *fleet.Program // nil in a zone that only votes
	azure                    *wire.Wire
}

// zones starts three: two that both work, with one of each program, of NATS, Redis and the Sentinels; and a third with no more
// than a NATS server and a Sentinel, without which the loss of one of two would be the loss of the majority. Webhooks come by a
// balancer over both. The first zone's Redis leads.
func (b *bed) zones(ctx context.Context) ([]*zone, error) {
	if err := b.provision(ctx); err != nil {
		return nil, err
	}
	var all []*zone
	for i, name := range []string{"a", "b", "c"} {
		z := &zone{name: name, nats: b.cluster.Nodes[i]}
		z.servers = []*stack.Server{z.nats, b.sentinels.Sentinels[i]}
		all = append(all, z)
		if i == len(b.sentinels.Servers) {
			break // it votes
		}
		z.servers = append(z.servers, b.sentinels.Servers[i])
		if err := b.populate(z); err != nil {
			return nil, err
		}
	}
	for _, z := range all {
		if err := b.ready(ctx, z.programs...); err != nil {
			return nil, err
		}
	}
	lb, err := newBalancer(all[0].ingress, all[1].ingress)
	if err != nil {
		return nil, err
	}
	b.closers, b.balancer = append(b.closers, lb.close), lb
	b.platform.SetIngressURL(lb.url)
	b.ingress, b.primary, b.backup = all[0].ingress, all[0].primary, all[0].backup
	return all, eventually(ctx, 10*time.Second, "both ingresses are there", lb.has(2))
}

// populate starts the zone's programs; the way of its worker-backup to the store leads over the zone's own line.
func (b *bed) populate(z *zone) (err error) {
	if z.azure, err = wire.New("azure-"+z.name, b.azure.Addr); err != nil {
		return err
	}
	b.closers = append(b.closers, z.azure.Close)
	own := map[string]string{"TWINREEL_AZURE_SERVICE_URL": through(b.world.Azure.ServiceURL, z.azure.Addr)}
	for _, p := range []struct {
		at   **fleet.Program
		name string
		env  map[string]string
	}{{&z.ingress, fleet.Ingress, nil}, {&z.primary, fleet.WorkerPrimary, nil}, {&z.backup, fleet.WorkerBackup, own}} {
		if *p.at, err = b.start(p.name, p.env); err != nil {
			return err
		}
		z.programs = append(z.programs, *p.at)
	}
	return nil
}

// lose kills everything in the zone at once (-9), as a loss of power does.
func (z *zone) lose() error { return z.each((*stack.Server).Kill, (*fleet.Program).Kill) }

// freeze stops everything in the zone where it stands (SIGSTOP): nobody answers, connections stay open.
func (z *zone) freeze() error { return z.each((*stack.Server).Freeze, (*fleet.Program).Freeze) }

// thaw lets it go on, with all that it believed before.
func (z *zone) thaw() error { return z.each((*stack.Server).Thaw, (*fleet.Program).Thaw) }

// comeBack starts everything again, on the data that it had, and waits until the programs are ready.
func (z *zone) comeBack(ctx context.Context, b *bed) error {
	err := z.each(func(s *stack.Server) error { return s.Start(ctx) }, (*fleet.Program).Start)
	if err != nil {
		return fmt.Errorf("zone %s does not come back: %w", z.name, err)
	}
	return b.ready(ctx, z.programs...)
}

// each does something to everything in the zone at once.
func (z *zone) each(server func(*stack.Server) error, program func(*fleet.Program) error) error {
	var all sync.WaitGroup
	errs := make([]error, len(z.servers)+len(z.programs))
	for i, s := range z.servers {
		all.Go(func() { errs[i] = server(s) })
	}
	for i, p := range z.programs {
		all.Go(func() { errs[len(z.servers)+i] = program(p) })
	}
	all.Wait()
	return errors.Join(errs...)
}
