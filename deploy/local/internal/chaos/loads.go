package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// fixedFor is how long the fixed load lasts, at full scale.
const fixedFor = 5 * time.Second

// fixed offers webhooks at a fixed rate, and measures how long each recording took from the webhook's 200 to the healthy
// tier's audit event, how long each webhook took, and how busy the machine was.
func (i *isolation) fixed(ctx context.Context, f *figures) error {
	n := max(10, int(fixedFor.Seconds()*offered*i.scale))
	var mu sync.Mutex
	var all sync.WaitGroup
	var failed error
	at := make(map[string]time.Time)
	before, err := readCPU()
	if err != nil {
		return err
	}
	tick := time.NewTicker(time.Second / offered)
	defer tick.Stop()
	for k := range n {
		id := fmt.Sprintf("fixed-%d", k)
		all.Go(func() {
			answer, err := i.post(ctx, id)
			now := time.Now()
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
			at[id], f.answers = now, append(f.answers, answer.Latency)
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	all.Wait()
	after, err := readCPU()
	if err := errors.Join(failed, err); err != nil {
		return fmt.Errorf("at the fixed load: %w", err)
	}
	f.idle = after.idleSince(before)
	i.sent += n
	if err := i.all(ctx, i.sent); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for id, since := range at {
		f.waits = append(f.waits, max(0, i.stored[id].Sub(since)))
	}
	return nil
}

// post sends one webhook, which must be taken.
func (i *isolation) post(ctx context.Context, id string) (platform.Answer, error) {
	a, err := i.platform.Post(ctx, i.platform.Sign("default", i.body(id)))
	if err == nil && !a.Taken() {
		err = fmt.Errorf("a webhook was answered %d %s", a.Status, a.Code)
	}
	return a, err
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
	if err := errors.Join(i.prefill(ctx, i.own, "full", n), i.forDouble(ctx, "full", n)); err != nil {
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
	return together(n, hooksAtOnce, func(k int) error {
		_, err := s.to.Completed(ctx, queue.Both, i.event(fmt.Sprintf("%s-%d", prefix, k)), "")
		return err
	})
}

// forDouble gives the double so many recordings to do, through whose world the herald has been.
func (i *isolation) forDouble(ctx context.Context, prefix string, n int) error {
	if err := errors.Join(i.double.Freeze(), i.prefill(ctx, i.other, prefix, n), i.herald.Thaw()); err != nil {
		return err
	}
	t, err := tier.Parse(i.healthy)
	if err != nil {
		return err
	}
	done := func(ctx context.Context) error {
		c, err := i.other.queue.js.Consumer(ctx, queue.Recordings, queue.ConsumerName(t, queue.Live))
		if err != nil {
			return err
		}
		if info := c.CachedInfo(); info.NumPending > 0 || info.NumAckPending > 0 {
			return fmt.Errorf("the herald has %d messages before it", int(info.NumPending)+info.NumAckPending)
		}
		return nil
	}
	return errors.Join(eventually(ctx, turnPatience, "the herald has been through", done), i.herald.Freeze())
}

// door sends webhooks as fast as they are answered, so many at once, while the workers take what they can, or the double in
// the sibling's place, and returns how many are answered in a second.
func (i *isolation) door(ctx context.Context) (rate float64, err error) {
	n := max(hooksAtOnce, int(hooks*i.scale))
	if err := i.forDouble(ctx, "door", max(20, int(hooksBeside*i.scale))); err != nil {
		return 0, err
	}
	if i.ill {
		if err := i.double.Thaw(); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	err = together(n, hooksAtOnce, func(k int) error {
		_, err := i.post(ctx, fmt.Sprintf("door-%d", k))
		return err
	})
	return float64(n) / time.Since(start).Seconds(), err
}

// together does something n times, so many at once, and returns what went wrong.
func together(n, atOnce int, do func(k int) error) error {
	next := make(chan int)
	errs := make([]error, atOnce)
	var all sync.WaitGroup
	for w := range atOnce {
		all.Go(func() {
			for k := range next {
				if errs[w] == nil {
					errs[w] = do(k)
				}
			}
		})
	}
	for k := range n {
		next <- k
	}
	close(next)
	all.Wait()
	return errors.Join(errs...)
}
