package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/outside"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// given the same kind of load, when every program is killed (-9) ten times at random and started again, then the result
// is the same: each recording in both stores, once, as it was, and no part of an upload left behind.
func TestKillEachProgramTenTimes(t *testing.T) {
	const recordings, rounds = 150, 10
	t.Parallel()
	b := newBed(t, setup{platform: platform.Config{Seed: 32, RetryDelay: 500 * time.Millisecond, Retries: 100}})
	all, total := b.mixture(recordings, 48*mib, 1.9, 32)
	start := time.Now()

	var burst sync.WaitGroup
	for round := range rounds {
		burst.Go(func() { b.burst(all[round*recordings/rounds : (round+1)*recordings/rounds]) })
		b.killAll(uint64(round))
	}
	burst.Wait()
	killed := time.Since(start)
	b.settle()

	b.soundAfterKills(recordings)
	b.noLetters()
	b.completed(all, 10)
	t.Logf("%d recordings, %d MiB: %.1f s of killing %d times each, at rest %.1f s after the first webhook",
		recordings, total/mib, killed.Seconds(), rounds, time.Since(start).Seconds())
}

// soundAfterKills is sound, but for uploads without a single part. A worker killed between the store's opening of an
// upload and its note of the ID, which precedes the first part, leaves one that nobody knows of: the bucket's lifecycle
// gets it. One with parts was noted, so the claim's next holder must have aborted it.
func (b *bed) soundAfterKills(copies int) {
	b.t.Helper()
	report := b.compare()
	report.Findings = slices.DeleteFunc(report.Findings, func(f outside.Finding) bool {
		unnoted := f.Kind == outside.OpenUpload && b.parts(f.Key) == 0
		if unnoted {
			b.t.Logf("killed before it could note its upload, which has no part: %s", f)
		}
		return unnoted
	})
	b.judge(report, copies)
}

// burst sends webhooks, a fifth twice, until each is taken.
func (b *bed) burst(recordings []*platform.Recording) {
	report, err := b.platform.Burst(b.t.Context(), recordings, platform.BurstOptions{InFlight: 16, DuplicateShare: 0.2})
	b.should(err)
	if report.Failed+report.Refused > 0 {
		b.t.Errorf("webhooks: %+v, want none refused or failed", report)
	}
}

// killAll kills each program once, each at a moment of its own within the next two seconds, and starts it again.
func (b *bed) killAll(seed uint64) {
	b.t.Helper()
	r := rand.New(rand.NewPCG(seed, 9))
	var all sync.WaitGroup
	for _, p := range []*fleet.Program{b.ingress, b.primary, b.backup} {
		after := time.Duration(r.Int64N(int64(2 * time.Second)))
		all.Go(func() { b.killAfter(p, after) })
	}
	after := time.Duration(r.Int64N(int64(50 * time.Millisecond))) // a command lives no longer
	all.Go(func() { b.killCommand(after, "tiers") })
	all.Wait()
}

func (b *bed) killAfter(p *fleet.Program, after time.Duration) {
	b.pause(after)
	if !p.Running() {
		b.t.Errorf("%s had ended by itself:\n%s", p.Name, p.Tail())
	}
	b.should(p.Kill())
	<-p.Done()
	b.should(p.Start())
}

// killCommand kills a command of the reconciler in the middle of its work.
func (b *bed) killCommand(after time.Duration, args ...string) {
	cmd := exec.Command(filepath.Join(os.Getenv(testenv.Bin), fleet.Reconciler), args...)
	cmd.Env, cmd.Dir = b.fleet.Environ(), b.stack.Dir
	if err := cmd.Start(); err != nil {
		b.t.Error(err)
		return
	}
	b.pause(after)
	if err := cmd.Process.Kill(); !errors.Is(err, os.ErrProcessDone) {
		b.should(err)
	}
	_ = cmd.Wait() // says that it was killed
}

// given a recording whose upload is half-way, in parts or in one streamed request, when the worker is killed, then another
// instance finishes it: one version, and nothing left of the first attempt.
func TestWorkerKilledMidUpload(t *testing.T) {
	t.Parallel()
	for _, parts := range []bool{true, false} {
		t.Run(fmt.Sprintf("in parts %v", parts), func(t *testing.T) {
			t.Parallel()
			b := newBed(t, setup{platform: platform.Config{Seed: 36}})
			const trickle = 4 * mib // a second
			slow := b.add(platform.Spec{Size: 40 * mib, SendSize: true, Faults: platform.Faults{BytesPerSecond: trickle}})
			if parts { // which is how it goes once an attempt has failed
				slow.SetFaults(platform.Faults{Status: http.StatusServiceUnavailable})
			}
			b.send(slow)
			if parts {
				b.eventually(time.Minute, "an attempt has failed", func(ctx context.Context) error {
					return b.counts(ctx, b.primary, 1, "twinreel_deliveries_total", `outcome="retry"`)
				})
				slow.SetFaults(platform.Faults{BytesPerSecond: trickle})
			}
			b.eventually(time.Minute, "some of the recording is up", func(ctx context.Context) error {
				if parts {
					return b.partsUp(ctx, slow.ObjectKey(), 2)
				}
				return b.counts(ctx, b.primary, 10*mib, "twinreel_transfer_bytes_total")
			})
			b.should(b.primary.Kill())
			slow.SetFaults(platform.Faults{})

			second, err := b.fleet.Start(fleet.WorkerPrimary, nil)
			b.must(err)
			b.must(second.Ready(t.Context()))
			b.settle()
			b.sound(1)
			b.noLetters()
			b.completed([]*platform.Recording{slow}, 1)
			m, err := second.Metrics(t.Context())
			b.must(err)
			if n := m.Sum("twinreel_deliveries_total", `outcome="stored"`); n != 1 {
				t.Errorf("the second instance stored %v recordings, want 1", n)
			}
		})
	}
}

// counts reports whether a program counts at least so much.
func (b *bed) counts(ctx context.Context, p *fleet.Program, want float64, metric string, labels ...string) error {
	m, err := p.Metrics(ctx)
	if err != nil {
		return err
	}
	if got := m.Sum(metric, labels...); got < want {
		return fmt.Errorf("%s is %v, want %v", metric, got, want)
	}
	return nil
}
