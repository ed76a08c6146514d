package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/process"
	"github.com/twinreel/twinreel/pkg/queue"
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

// saturated lets events wait in the stream while both workers are frozen, and then lets them go: it measures how many
// recordings the healthy tier stores in a second, and what each costs its worker.
func (i *isolation) saturated(ctx context.Context, f *figures) error {
	n := max(20, int(saturatedBy*i.scale))
	for _, p := range i.workers {
		if err := p.Freeze(); err != nil {
			return err
		}
	}
	if err := together(n, hooksAtOnce, func(k int) error {
		_, err := i.to.Completed(ctx, queue.Both, i.event(fmt.Sprintf("full-%d", k)), "")
		return err
	}); err != nil {
		return err
	}
	worker := i.workers[i.healthy].PID()
	before, err := process.CPUSeconds(worker)
	if err != nil {
		return err
	}
	start := time.Now()
	for _, p := range i.workers {
		if err := p.Thaw(); err != nil {
			return err
		}
	}
	// What a worker had asked for when it was frozen comes back after an AckWait only, and would set the pace of the last few.
	most := n * 9 / 10
	if err := i.all(ctx, i.sent+most); err != nil {
		return err
	}
	f.rate = float64(most) / time.Since(start).Seconds()
	i.sent += n
	after, err := process.CPUSeconds(worker)
	f.cost = time.Duration((after - before) / float64(most) * float64(time.Second))
	return err
}

// door sends webhooks as fast as they are answered, so many at once, while the workers take what they can, and returns how
// many are answered in a second.
func (i *isolation) door(ctx context.Context) (rate float64, err error) {
	n := max(hooksAtOnce, int(hooks*i.scale))
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
