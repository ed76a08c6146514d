package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
)

// Of the busy rows.
const (
	busyLoad    = 12_000                 // recordings of 1 MiB that wait for the workers, more than they can do meanwhile
	lowPriority = 10                     // nice
	saturated   = 500 * time.Millisecond // for which the workers have run before the first webhook
)

// busy plays n webhooks while the workers have nothing to do, or more than they can.
func busy(inFlight int, every time.Duration, n int) func(context.Context, *bed, int) (Side, error) {
	return func(ctx context.Context, b *bed, side int) (Side, error) {
		return b.busy(ctx, side, inFlight, every, n)
	}
}

func (b *bed) busy(ctx context.Context, side, inFlight int, every time.Duration, n int) (s Side, err error) {
	w, err := b.stack.NewWorld(ctx)
	if err != nil {
		return Side{}, err
	}
	b.turns++
	f, err := b.fleet(w)
	if err != nil {
		return Side{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	workers, err := b.workers(ctx, f, 1)
	if err != nil {
		return Side{}, err
	}
	door, err := ingress(ctx, f)
	if err != nil {
		return Side{}, err
	}
	for _, pid := range []int{workers[0].PID(), workers[1].PID(), b.feed.pid(), b.s3.pid(), b.azure.pid()} {
		if err := unix.Setpriority(unix.PRIO_PROCESS, pid, lowPriority); err != nil {
			return Side{}, err
		}
	}
	if side == 1 {
		if err := b.saturate(ctx, w, workers); err != nil {
			return Side{}, err
		}
	}
	l := sender{url: door.URL() + webhookPath, prefix: fmt.Sprintf("t%d", b.turns), inFlight: inFlight, every: every}
	if _, err := l.send(ctx, inFlight*4); err != nil {
		return Side{}, err
	}
	m, err := b.measure(ctx, map[string][]int{"ingress": {door.PID()}})
	if err != nil {
		return Side{}, err
	}
	took, err := l.send(ctx, max(inFlight, int(float64(n)*b.Scale)))
	if err != nil {
		return Side{}, err
	}
	if s, err = m.end(ctx, load{n: len(took)}); err != nil {
		return Side{}, err
	}
	s.Requests, s.Millis = nil, percentiles(took)
	return s, errors.Join(each(workers, (*fleet.Program).Freeze), each(workers, (*fleet.Program).Kill))
}

// saturate gives the workers more than they can do while webhooks are sent.
func (b *bed) saturate(ctx context.Context, w stack.World, workers []*fleet.Program) error {
	q, err := connect(w)
	if err != nil {
		return err
	}
	defer q.nc.Close()
	l := load{mib, int(busyLoad * min(1, b.Scale))}
	if err := errors.Join(each(workers, (*fleet.Program).Freeze), q.publish(ctx, b.links(l), l.size, fmt.Sprint("t", b.turns)), each(workers, (*fleet.Program).Thaw)); err != nil {
		return err
	}
	select {
	case <-time.After(saturated):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
