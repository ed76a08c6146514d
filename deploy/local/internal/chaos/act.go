package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// patience bounds every wait for the whole to come to rest. It covers a lease and an AckWait (60 s each) of a worker that
// was killed, on a machine that is busy.
const patience = 4 * time.Minute

// few is how many recordings a row moves, and largest how large they are at the most: enough that each way up is taken.
const (
	few     = 12
	largest = 10 * mib
)

// add makes one recording.
func (b *bed) add(s platform.Spec) (*platform.Recording, error) { return b.platform.Add(s) }

// send makes n recordings of all sizes and sends their webhooks in the background, some twice, each until it is taken.
func (b *bed) send(ctx context.Context, n int) error {
	recordings, _, err := b.platform.Mixture(n, largest, 1, uint64(n))
	if err != nil {
		return err
	}
	b.sendThese(ctx, recordings...)
	return nil
}

// sendThese sends webhooks in the background, a fifth of them twice.
func (b *bed) sendThese(ctx context.Context, recordings ...*platform.Recording) {
	b.sending.Go(func() {
		report, err := b.platform.Burst(ctx, recordings, platform.BurstOptions{InFlight: 8, DuplicateShare: 0.2})
		if err == nil && !b.closing.Load() && report.Failed+report.Refused > 0 {
			b.blame("webhooks: %d failed, %d refused, by code %v", report.Failed, report.Refused, report.ByCode)
		}
	})
}

// warm brings a few recordings through, so that everything is connected before something breaks.
func (b *bed) warm(ctx context.Context) error {
	if err := b.send(ctx, 4); err != nil {
		return err
	}
	return b.rest(ctx)
}

// rest waits until every webhook is taken and nothing is left to do.
func (b *bed) rest(ctx context.Context) error {
	sent := make(chan struct{})
	go func() {
		b.sending.Wait()
		close(sent)
	}()
	select {
	case <-sent:
	case <-time.After(patience):
		return fmt.Errorf("after %s not every webhook was taken", patience)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return b.queue.settle(ctx)
}

// restAgain is rest after something was mended, and says how long it took.
func (b *bed) restAgain(ctx context.Context, after string) error {
	start := time.Now()
	if err := b.rest(ctx); err != nil {
		return err
	}
	b.see("all at rest %s %s", seconds(time.Since(start)), after)
	return nil
}

// pause lets time go by where the moment itself is what a row is about.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// eventually asks until the answer is nil.
func eventually(ctx context.Context, within time.Duration, what string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s: %w", what, within, err)
		}
	}
}

// counts reports whether a program counts at least so much.
func counts(ctx context.Context, p *fleet.Program, want float64, metric string, labels ...string) error {
	m, err := p.Metrics(ctx)
	if err != nil {
		return err
	}
	if got := m.Sum(metric, labels...); got < want {
		return fmt.Errorf("%s of %s is %v, want %v", metric, p.Name, got, want)
	}
	return nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
