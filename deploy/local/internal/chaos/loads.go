package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twinreel/twinreel/pkg/queue"
)

// fixedFor is how long the fixed load lasts, at full scale.
const fixedFor = 6 * time.Second

// fixed offers webhooks at a fixed rate, and the double's world the same events. It returns how long each recording took
// from the webhook's 200 to the healthy tier's audit event, how long each webhook took, and the share that was stored by a
// second after the last.
func (i *isolation) fixed(ctx context.Context) (waits, answers []time.Duration, kept float64, err error) {
	n := max(10, int(fixedFor.Seconds()*offered*i.scale))
	var mu sync.Mutex
	var all sync.WaitGroup
	at := make(map[string]time.Time)
	tick := time.NewTicker(time.Second / offered)
	defer tick.Stop()
	for k := range n {
		id := fmt.Sprintf("fixed-%d", k)
		all.Go(func() {
			answer, e := i.platform.Post(ctx, i.platform.Sign("default", i.body(id)))
			now := time.Now()
			_, e2 := i.other.to.Completed(ctx, queue.Both, i.event(id), "")
			mu.Lock()
			defer mu.Unlock()
			if e == nil && !answer.Taken() {
				e = fmt.Errorf("a webhook was answered %d %s", answer.Status, answer.Code)
			}
			if failed := errors.Join(e, e2); failed != nil {
				err = fmt.Errorf("at the fixed load: %w", failed)
				return
			}
			at[id], answers = now, append(answers, answer.Latency)
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, nil, 0, context.Cause(ctx)
		}
	}
	all.Wait()
	if err != nil {
		return nil, nil, 0, err
	}
	if err := pause(ctx, time.Second); err != nil {
		return nil, nil, 0, err
	}
	i.mu.Lock()
	intime := len(i.stored)
	i.mu.Unlock()
	i.sent += n
	if err := i.all(ctx, i.sent); err != nil {
		return nil, nil, 0, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for id, since := range at {
		waits = append(waits, max(0, i.stored[id].Sub(since)))
	}
	return waits, answers, float64(intime) / float64(n), nil
}

// saturated lets events wait in both worlds' streams while all workers are frozen, and then lets them go: it returns how
// many recordings the healthy tier stores in a second.
func (i *isolation) saturated(ctx context.Context) (rate float64, err error) {
	n := max(20, int(saturatedBy*i.scale))
	for _, p := range i.workers {
		if err := p.Freeze(); err != nil {
			return 0, err
		}
	}
	if err := i.double.Freeze(); err != nil {
		return 0, err
	}
	if err := i.prefill(ctx, i.own, "full", n); err != nil {
		return 0, err
	}
	if err := i.prefill(ctx, i.other, "full", n); err != nil {
		return 0, err
	}
	start := time.Now()
	if i.ill {
		if err := i.double.Thaw(); err != nil {
			return 0, err
		}
	}
	for _, p := range i.workers {
		if err := p.Thaw(); err != nil {
			return 0, err
		}
	}
	i.sent += n
	if err := i.all(ctx, i.sent); err != nil {
		return 0, err
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

// prefill publishes n events of a world.
func (i *isolation) prefill(ctx context.Context, s side, prefix string, n int) error {
	next := make(chan int)
	errs := make(chan error, n)
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for k := range next {
				if _, err := s.to.Completed(ctx, queue.Both, i.event(fmt.Sprintf("%s-%d", prefix, k)), ""); err != nil {
					errs <- err
				}
			}
		})
	}
	for k := range n {
		next <- k
	}
	close(next)
	all.Wait()
	close(errs)
	return <-errs
}

// door sends webhooks as fast as they are answered, so many at once, while the workers take what they can, the double
// included, and returns how many are answered in a second.
func (i *isolation) door(ctx context.Context) (rate float64, err error) {
	n := max(hooksAtOnce, int(hooks*i.scale))
	if err := i.prefill(ctx, i.other, "door", n); err != nil {
		return 0, err
	}
	next := make(chan int)
	errs := make(chan error, n)
	var all sync.WaitGroup
	start := time.Now()
	for range hooksAtOnce {
		all.Go(func() {
			for k := range next {
				a, err := i.platform.Post(ctx, i.platform.Sign("default", i.body(fmt.Sprintf("door-%d", k))))
				if err == nil && !a.Taken() {
					err = fmt.Errorf("a webhook was answered %d %s", a.Status, a.Code)
				}
				if err != nil {
					errs <- err
				}
			}
		})
	}
	for k := range n {
		next <- k
	}
	close(next)
	all.Wait()
	took := time.Since(start)
	close(errs)
	return float64(n) / took.Seconds(), <-errs
}
