package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/disk"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
)

// powerDisk is how large the disk of NATS and Redis is, in MiB.
const powerDisk = 512

// powerLoad is how many webhooks are sent in a trial, and powerInFlight how many at once.
const (
	powerLoad     = 80
	powerInFlight = 32
)

// powerTrial is how long a trial may take.
const powerTrial = 3 * time.Minute

// powerRows cut the power of the disk that NATS and Redis live on, under load, so many times, and let everything go on with
// what the disk kept. Nothing that was answered 200 may be missing from RECORDINGS, and in the end both stores must have
// everything, once.
//
// The moment is when a random number of webhooks has been answered. Both servers are frozen then (SIGSTOP), so that they
// do not do what a machine without power cannot; the file system is told to go down without flushing anything; the servers
// are killed, and the image is copied and mounted anew: what was only in the kernel's memory is gone. The programs run on
// all the while, as on other machines. The second row does the same to a NATS that does not sync each write, and must lose
// something: else the first had shown nothing.
func powerRows(trials int) []Row {
	return []Row{
		{
			Name: "power-loss", Group: "Power", Short: true, on: alone,
			Injected: fmt.Sprintf("the power of the disk of NATS and Redis cut under load, %d times, each at a random moment", trials),
			Seen:     "nothing answered 200 before is missing from RECORDINGS",
			play:     func(ctx context.Context, b *bed) error { return b.losePower(ctx, trials) },
		},
		{
			Name: "power-loss-unsynced", Group: "Power", Short: true, on: alone, unproven: true,
			Injected: "the same, once, with a NATS that does not sync each write: the test of the test",
			Seen:     "something answered 200 before is missing",
			play:     losePowerUnsynced,
		},
	}
}

func (b *bed) losePower(ctx context.Context, trials int) error {
	d, err := b.onPowerDisk(ctx)
	if err != nil {
		return err
	}
	answered := 0
	for range trials {
		n, missing, err := b.cut(ctx, d)
		if err != nil {
			return err
		}
		if len(missing) > 0 {
			b.blame("%d of %d recordings answered 200 are missing after the power was cut: %v", len(missing), n, missing)
		}
		answered = n // of all trials so far
	}
	if b.emptied > 0 {
		b.see("%d times Redis refused what was left of its file, and started with nothing", b.emptied)
	}
	b.see("%d cuts, %d recordings answered 200 before one: all in RECORDINGS after each", trials, answered)
	return b.restAgain(ctx, "after the last cut")
}

func losePowerUnsynced(ctx context.Context, b *bed) error {
	if err := b.stack.Sync(false); err != nil {
		return err
	}
	d, err := b.onPowerDisk(ctx)
	if err != nil {
		return err
	}
	n, missing, err := b.cut(ctx, d)
	if err != nil {
		return err
	}
	b.see("%d of %d recordings answered 200 before the cut are missing after it", len(missing), n)
	if len(missing) == 0 {
		b.blame("nothing is missing although nothing was synced: the cut is none")
	}
	return nil
}

// onPowerDisk moves NATS and Redis to a disk whose power can be cut.
func (b *bed) onPowerDisk(ctx context.Context) (*disk.Power, error) {
	d, err := disk.NewPower(b.within("power"), powerDisk)
	if err != nil {
		return nil, err
	}
	servers := []*stack.Server{b.stack.NATS, b.stack.Redis}
	b.closers = append(b.closers, b.stack.NATS.Kill, b.stack.Redis.Kill, d.Close)
	for i, folder := range []string{"nats", "redis"} {
		err := errors.Join(servers[i].Stop(), disk.Move(b.within(folder), filepath.Join(d.Dir, folder)), servers[i].Start(ctx))
		if err != nil {
			return nil, err
		}
	}
	// What was moved here would be on the disk for long, as the streams would.
	return d, d.Sync()
}

// cut sends webhooks, cuts the power at a random moment, starts the servers on what is left, and returns how many webhooks
// had been answered 200, and those of them that RECORDINGS does not have.
func (b *bed) cut(ctx context.Context, d *disk.Power) (answered int, missing []string, err error) {
	var recordings []*platform.Recording
	for range powerLoad {
		r, err := b.add(platform.Spec{Size: 2048 + rand.Int64N(8192), SendSize: true})
		if err != nil {
			return 0, nil, err
		}
		recordings = append(recordings, r)
	}
	moment := 1 + rand.IntN(powerLoad*3/4)
	reached := make(chan struct{})
	var heard atomic.Int64
	b.sending.Go(func() {
		_, _ = b.platform.Burst(ctx, recordings, platform.BurstOptions{InFlight: powerInFlight, Each: func(_ *platform.Recording, a platform.Answer) {
			if a.Taken() && heard.Add(1) == int64(moment) {
				close(reached)
			}
		}})
	})
	select {
	case <-reached:
	case <-time.After(powerTrial):
		return 0, nil, fmt.Errorf("not %d webhooks are answered within %s", moment, powerTrial)
	case <-ctx.Done():
		return 0, nil, fmt.Errorf("wait until %d webhooks are answered: %w", moment, context.Cause(ctx))
	}
	if err := b.powerCycle(ctx, d); err != nil {
		return 0, nil, err
	}
	return b.missing(ctx)
}

// powerCycle takes the power away, and gives it back. What was answered 200 by now was stored before.
func (b *bed) powerCycle(ctx context.Context, d *disk.Power) error {
	for _, s := range []*stack.Server{b.stack.NATS, b.stack.Redis} {
		if err := errors.Join(s.Freeze(), stopped(ctx, s.PID())); err != nil {
			return err
		}
	}
	b.before = b.acknowledged()
	if err := errors.Join(d.Cut(), b.stack.NATS.Kill(), b.stack.Redis.Kill(), d.Restore()); err != nil {
		return err
	}
	return errors.Join(b.startRedis(ctx, d), b.stack.NATS.Start(ctx))
}

// startRedis starts Redis on what the disk kept of its append-only file. Redis does not sync each write, and refuses a file
// whose end is not what it wrote; then it starts with nothing, as it may at any time.
func (b *bed) startRedis(ctx context.Context, d *disk.Power) error {
	if b.stack.Redis.Start(ctx) == nil {
		return nil
	}
	b.emptied++
	return errors.Join(os.RemoveAll(filepath.Join(d.Dir, "redis", "appendonlydir")), b.stack.Redis.Start(ctx))
}

// stopped waits until a process that was frozen really stands still.
func stopped(ctx context.Context, pid int) error {
	return eventually(ctx, 10*time.Second, "the server stands still", func(context.Context) error {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return err
		}
		if !strings.Contains(string(b), "\nState:\tT") {
			return errors.New("it does not yet")
		}
		return nil
	})
}

// missing returns how many recordings had been answered 200 before the cut, and those that RECORDINGS lacks.
func (b *bed) missing(ctx context.Context) (answered int, missing []string, err error) {
	var have map[string]int
	err = eventually(ctx, time.Minute, "the stream can be read", func(ctx context.Context) (err error) {
		have, err = b.queue.recordings(ctx, keyOf)
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	for _, key := range b.before {
		if have[key] == 0 {
			missing = append(missing, key)
		}
	}
	return len(b.before), missing, nil
}

// keyOf is the idempotency key of an event.
func keyOf(body []byte) string {
	var e struct {
		Data struct{ IdempotencyKey string }
	}
	if json.Unmarshal(body, &e) != nil {
		return ""
	}
	return e.Data.IdempotencyKey
}
