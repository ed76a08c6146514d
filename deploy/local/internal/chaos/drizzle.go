package chaos

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

const answerBar = time.Second // of the answers' p99

// drizzle is a steady stream of webhooks.
type drizzle struct {
	stop context.CancelFunc
	all  sync.WaitGroup

	mu      sync.Mutex
	taken   int
	again   int // webhooks that needed more than one attempt
	most    int // attempts that one needed
	lost    []string
	latency []time.Duration
	hooks   []hook
}

// hook is a webhook that was taken.
type hook struct {
	key      string // the recording's idempotency key
	first    time.Time
	taken    time.Time
	attempts int
}

// startDrizzle sends a webhook every so often, each with the platform's retries, until it is stopped.
func (b *bed) startDrizzle(ctx context.Context, every time.Duration) *drizzle {
	return b.startDrizzleOf(ctx, every, func(int) platform.Spec { return platform.Spec{Size: 20_000, SendSize: true} })
}

// startDrizzleOf is the same with recordings of one's own making.
func (b *bed) startDrizzleOf(ctx context.Context, every time.Duration, recording func(n int) platform.Spec) *drizzle {
	d := &drizzle{}
	until, stop := context.WithCancel(ctx)
	d.stop = stop
	d.all.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tick.C:
			case <-until.Done():
				return
			}
			r, err := b.add(recording(n))
			if err != nil {
				b.blame("%v", err)
				return
			}
			d.all.Go(func() { d.send(ctx, b, r) })
		}
	})
	return d
}

func (d *drizzle) send(ctx context.Context, b *bed, r *platform.Recording) {
	first := time.Now()
	a, err := b.platform.Send(ctx, r)
	taken := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.lost = append(d.lost, err.Error())
		return
	}
	d.taken++
	d.most = max(d.most, a.Attempts)
	if a.Attempts > 1 {
		d.again++
	}
	d.latency = append(d.latency, a.Latency)
	d.hooks = append(d.hooks, hook{r.Key(), first, taken, a.Attempts})
}

// end stops it, waits for the last retries, and judges.
func (d *drizzle) end(b *bed) {
	if at := d.finish(b); at >= answerBar {
		b.blame("p99 of the answers is %s, want less than %s", millis(at), answerBar)
	}
}

// finish is end without a bar for the answers' p99, which it returns.
func (d *drizzle) finish(b *bed) (at time.Duration) {
	d.stop()
	d.all.Wait()
	slices.SortFunc(d.latency, cmp.Compare[time.Duration])
	at = p99(d.latency)
	b.see("%d webhooks taken, %d of them not at the first attempt, none after more than %d; p99 of the answers %s", d.taken, d.again, d.most, millis(at))
	if len(d.lost) > 0 {
		b.blame("%d webhooks were not taken within their retries, the first: %s", len(d.lost), d.lost[0])
	}
	return at
}

// count is how many webhooks were taken so far.
func (d *drizzle) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.taken
}
