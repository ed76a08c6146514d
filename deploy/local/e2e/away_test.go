package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/story"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// given NATS away, when the programs start, then they run, alive but not ready, and say what they wait for; once it is
// there and provisioned they are ready, by themselves.
func TestNATSAwayAtStart(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{bare: true, platform: platform.Config{Seed: 40}})
	b.must(b.stack.NATS.Stop())
	for _, name := range []string{fleet.Ingress, fleet.WorkerPrimary, fleet.WorkerBackup} {
		_, err := b.fleet.Start(name, nil)
		b.must(err)
	}
	for _, p := range b.fleet.Programs() {
		b.eventually(20*time.Second, p.Name+" waits for NATS", func(ctx context.Context) error { return b.waitsFor(ctx, p, "nats") })
	}
	b.must(b.stack.NATS.Start(t.Context()))
	for _, p := range b.fleet.Programs() {
		b.eventually(20*time.Second, p.Name+" waits for the streams", func(ctx context.Context) error { return b.waitsFor(ctx, p, "streams") })
	}
	b.must(b.fleet.Provision(t.Context()))
	for _, p := range b.fleet.Programs() {
		b.must(p.Ready(t.Context()))
	}
	b.platform.SetIngressURL(b.fleet.Programs()[0].URL())
	b.send(b.add(platform.Spec{Size: 5000}))
	b.settle()
	b.sound(1)
}

// readiness is what /readyz says.
type readiness struct {
	Ready  bool
	Checks []struct {
		Name, Detail string
		OK, Decides  bool
	}
}

// check returns what a program says of one check: ok and, if not, why.
func (b *bed) check(ctx context.Context, p *fleet.Program, name string) (ready, ok bool, detail string, err error) {
	_, body, err := p.Readyz(ctx)
	if err != nil {
		return false, false, "", err
	}
	var r readiness
	if err := json.Unmarshal(body, &r); err != nil {
		return false, false, "", fmt.Errorf("%s: /readyz %q: %w", p.Name, body, err)
	}
	for _, c := range r.Checks {
		if c.Name == name {
			return r.Ready, c.OK, c.Detail, nil
		}
	}
	return r.Ready, false, "", fmt.Errorf("%s: /readyz has no check %s: %s", p.Name, name, body)
}

// waitsFor tells whether a program is alive, not ready, and says that it waits for that.
func (b *bed) waitsFor(ctx context.Context, p *fleet.Program, name string) error {
	if err := alive(ctx, p); err != nil {
		return err
	}
	ready, ok, detail, err := b.check(ctx, p, name)
	if err == nil && (ready || ok || detail == "") {
		err = fmt.Errorf("%s: ready %t, check %s %t %q", p.Name, ready, name, ok, detail)
	}
	return err
}

// alive tells whether a program runs and says so.
func alive(ctx context.Context, p *fleet.Program) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Admin+"/livez", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: /livez answered %d: %s", p.Name, resp.StatusCode, body)
	}
	return err
}

// given Redis away, when webhooks come, then the copies are made all the same, and the workers stay ready and say so.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{platform: platform.Config{Seed: 41}})
	b.must(b.stack.Redis.Stop())
	recordings, _ := b.mixture(15, 20*mib, 1, 41)
	for _, r := range recordings {
		b.send(r)
	}
	b.settle()
	b.sound(15)
	b.noLetters()
	for _, p := range []*fleet.Program{b.primary, b.backup} {
		b.eventually(10*time.Second, p.Name+" says that Redis is away", func(ctx context.Context) error { return degraded(b.check(ctx, p, "redis")) })
	}
	b.must(b.stack.Redis.Start(t.Context()))
	for _, p := range []*fleet.Program{b.primary, b.backup} {
		b.eventually(20*time.Second, p.Name+" says that Redis is back", func(ctx context.Context) error {
			_, ok, detail, err := b.check(ctx, p, "redis")
			if err == nil && !ok {
				err = errors.New(detail)
			}
			return err
		})
	}
	late := b.add(platform.Spec{Size: 5000})
	b.send(late)
	b.settle()
	b.completed([]*platform.Recording{late}, 1)
}

// degraded is nil where a program is ready although the check failed.
func degraded(ready, ok bool, detail string, err error) error {
	if err == nil && (!ready || ok) {
		err = fmt.Errorf("ready %t, check %t %q, want ready and the check failed", ready, ok, detail)
	}
	return err
}

// given S3 frozen, then stopped, when webhooks come, then backup goes on alone, and primary catches up once it is back.
func TestS3Away(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{platform: platform.Config{Seed: 42}})
	watch, err := story.StartWatch(t.Context(), b.stack.NATSAccess)
	b.must(err)
	t.Cleanup(watch.Close)
	total := 0
	for _, outage := range []struct{ from, to func() error }{
		{b.stack.S3.Freeze, b.stack.S3.Thaw},
		{b.stack.S3.Stop, func() error { return b.stack.S3.Start(t.Context()) }},
	} {
		before, _ := watch.Count("primary")
		b.must(outage.from())
		recordings, _ := b.mixture(15, 20*mib, 1, uint64(42+total))
		for _, r := range recordings {
			b.send(r)
		}
		total += len(recordings)
		alone, cancel := context.WithTimeout(t.Context(), time.Minute)
		b.must(watch.Wait(alone, "backup", total))
		cancel()
		b.pause(5 * time.Second) // long enough for primary to fail more than once
		if n, _ := watch.Count("primary"); n != before {
			t.Errorf("primary got %d copies while its store was away", n-before)
		}
		b.must(outage.to())
		b.settle()
	}
	b.sound(total)
	b.noLetters()
}

// given an AUDIT stream that is full, when webhooks come, then the workers stop pulling and say so, and go on once it has
// room again.
func TestAuditFull(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{platform: platform.Config{Seed: 43}, env: map[string]string{"TWINREEL_AUDIT_MAX_BYTES": "1MiB", "TWINREEL_CONCURRENCY": "2"}})
	b.must(b.fillAudit(t.Context()))
	for range 20 {
		b.send(b.add(platform.Spec{Size: 5000}))
	}
	for _, p := range []*fleet.Program{b.primary, b.backup} {
		b.eventually(20*time.Second, p.Name+" says that AUDIT is full", func(ctx context.Context) error { return degraded(b.check(ctx, p, "audit")) })
	}
	tiers, err := b.fleet.Tiers(t.Context())
	b.must(err)
	for _, tier := range tiers {
		if tier.Backlog < 10 {
			t.Errorf("%s has a backlog of %d, want most of 20: it pulled on", tier.Tier, tier.Backlog)
		}
	}
	b.must(b.provision(t.Context(), "TWINREEL_AUDIT_MAX_BYTES=16MiB"))
	b.settle()
	b.sound(20)
	b.noLetters()
	for _, p := range []*fleet.Program{b.primary, b.backup} {
		b.must(p.Ready(t.Context()))
	}
}

// fillAudit publishes to AUDIT until it takes no more.
func (b *bed) fillAudit(ctx context.Context) error {
	nc, js, err := b.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	for size := 16 << 10; size > 0; size /= 2 {
		for {
			if _, err := js.Publish(ctx, "audit.run.all", []byte(strings.Repeat(" ", size))); err != nil {
				break
			}
		}
		if ctx.Err() != nil {
			return errors.New("fill AUDIT: out of time")
		}
	}
	return nil
}

// provision runs `provision` with other settings than the fleet's.
func (b *bed) provision(ctx context.Context, env ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(os.Getenv(testenv.Bin), fleet.Reconciler), "provision")
	for name, value := range b.fleet.Provisioner() {
		env = append(env, name+"="+value)
	}
	cmd.Env, cmd.Dir = append(b.fleet.Environ(), env...), b.stack.Dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("provision: %w: %s", err, out)
	}
	return nil
}
