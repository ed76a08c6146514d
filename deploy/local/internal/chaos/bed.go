package chaos

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/gate"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
	"github.com/twinreel/twinreel/deploy/local/internal/story"
	"github.com/twinreel/twinreel/deploy/local/internal/wire"
)

// bed is a whole Twinreel in a world of its own. Between its workers and the stores are a line and a gate each, between its
// programs and NATS and Redis a line; the operator's commands and the outside reader go the straight way.
type bed struct {
	Config
	stack *stack.Stack
	world stack.World

	fleet    *fleet.Fleet
	secret   string // of its webhooks
	platform *platform.Platform
	queue    *queueView
	watch    *story.Watch

	nats, redis, s3Line, azureLine *wire.Wire
	between                        *wire.Wire // the two regions, where there are two
	s3, azure                      *gate.Gate

	cluster   *stack.Cluster   // in place of the one NATS server; then there is no line to it
	sentinels *stack.Sentinels // in place of the one Redis
	regions   *stack.Regions   // the bed is on the first, over the same stores
	dates     bool             // the stores' sidecars may differ in their dates: a webhook came to both regions while neither heard of the other
	balancer  *balancer

	ingress, primary, backup *fleet.Program

	sending sync.WaitGroup
	closing atomic.Bool // what is not answered from now on is nobody's fault

	mu      sync.Mutex
	saw     []string
	wrong   []string
	letters map[string]string // the reason that must be, by "tier key"
	closers []func() error
	emptied int      // how often Redis had to start with nothing
	before  []string // the recordings answered 200 before the power was cut
	loss    *Loss    // what it cost to lose a part of the whole
}

// openBed sets up everything but the programs.
func (c Config) openBed(ctx context.Context, s *stack.Stack, w stack.World, row Row) (b *bed, err error) {
	b = &bed{Config: c, stack: s, world: w, letters: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	dir, err := os.MkdirTemp(s.Dir, row.Name+"-")
	if err != nil {
		return b, fmt.Errorf("make the programs' folder: %w", err)
	}
	if row.servers != nil {
		if err := row.servers(ctx, b); err != nil {
			return b, err
		}
	}
	if err := b.lines(); err != nil {
		return b, err
	}
	secret, env := cmp.Or(row.secret, rand.Text()), settings(row.settings)
	if b.sentinels != nil {
		maps.Copy(env, b.sentinels.Env)
	}
	if b.regions != nil {
		maps.Copy(env, b.regions.East.Settings())
	}
	b.secret = secret
	b.fleet, err = fleet.New(fleet.Config{
		Bin: c.Bin, Dir: dir, World: b.world, WebhookSecret: secret, Env: env,
	})
	if err != nil {
		return b, err
	}
	p := row.platform
	p.Secret = secret
	if p.Retries == 0 { // a platform that never gives up, and does not wait long
		p.Retries, p.RetryDelay = 1000, 250*time.Millisecond
	}
	if b.platform, err = platform.New(p); err != nil {
		return b, err
	}
	return b, nil
}

// settings are what all programs are told: to try again sooner than they would in production.
func settings(over map[string]string) map[string]string {
	env := map[string]string{
		"TWINREEL_RETRY_BASE": "200ms", "TWINREEL_RETRY_CAP": "2s", "TWINREEL_BREAKER_OPEN": "2s", "TWINREEL_PROBE_INTERVAL": "1s",
	}
	maps.Copy(env, over)
	return env
}

// lines lays lines and opens gates.
func (b *bed) lines() (err error) {
	if b.s3, err = gate.New(hostOf(b.world.S3.Endpoint)); err != nil {
		return err
	}
	if b.azure, err = gate.New(hostOf(b.world.Azure.ServiceURL)); err != nil {
		return err
	}
	for _, l := range []struct {
		wire **wire.Wire
		name string
		to   string
	}{
		{&b.nats, "nats", hostOf(b.world.NATS.TLSURL)},
		{&b.redis, "redis", hostOf(b.world.RedisURL)},
		{&b.s3Line, "s3", b.s3.Addr},
		{&b.azureLine, "azure", b.azure.Addr},
	} {
		if l.wire == &b.nats && b.cluster != nil {
			continue
		}
		if *l.wire, err = wire.New(l.name, l.to); err != nil {
			return err
		}
	}
	return nil
}

// start starts an instance of a program, whose way to every server leads over the bed's lines.
func (b *bed) start(program string, env ...map[string]string) (*fleet.Program, error) {
	own := map[string]string{
		"TWINREEL_REDIS_URL":         through(b.world.RedisURL, b.redis.Addr),
		"TWINREEL_S3_ENDPOINT":       through(b.world.S3.Endpoint, b.s3Line.Addr),
		"TWINREEL_AZURE_SERVICE_URL": through(b.world.Azure.ServiceURL, b.azureLine.Addr),
	}
	if b.nats != nil {
		own["TWINREEL_NATS_URL"] = through(b.world.NATS.TLSURL, b.nats.Addr)
	}
	for _, more := range env {
		maps.Copy(own, more)
	}
	return b.fleet.Start(program, own)
}

// startAll provisions and starts one instance of each program, and what watches them.
func (b *bed) startAll(ctx context.Context) (err error) {
	if err := b.provision(ctx); err != nil {
		return err
	}
	return b.startPrograms(ctx)
}

// startPrograms starts one instance of each program.
func (b *bed) startPrograms(ctx context.Context) (err error) {
	for _, p := range []struct {
		at   **fleet.Program
		name string
	}{{&b.ingress, fleet.Ingress}, {&b.primary, fleet.WorkerPrimary}, {&b.backup, fleet.WorkerBackup}} {
		if *p.at, err = b.start(p.name); err != nil {
			return err
		}
	}
	b.platform.SetIngressURL(b.ingress.URL())
	return b.ready(ctx, b.ingress, b.primary, b.backup)
}

// provision makes the streams and follows them.
func (b *bed) provision(ctx context.Context) (err error) {
	if err := b.fleet.Provision(ctx); err != nil {
		return err
	}
	if b.queue, err = viewQueue(b.world.NATS); err != nil {
		return err
	}
	b.watch, err = story.StartWatch(ctx, b.world.NATS)
	return err
}

func (b *bed) ready(ctx context.Context, programs ...*fleet.Program) error {
	for _, p := range programs {
		if err := p.Ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// close ends everything; programs drain, and one that does not end in good order is an error.
func (b *bed) close() error {
	b.closing.Store(true)
	var errs []error
	for _, l := range b.allLines() {
		if l != nil {
			errs = append(errs, l.Mend())
		}
	}
	for _, g := range []*gate.Gate{b.s3, b.azure} {
		if g != nil {
			g.Set()
		}
	}
	if b.platform != nil {
		errs = append(errs, b.platform.Close())
	}
	b.sending.Wait()
	if b.fleet != nil {
		errs = append(errs, b.fleet.Close(), b.noPanics())
	}
	for _, end := range b.closers {
		errs = append(errs, end())
	}
	if b.watch != nil {
		b.watch.Close()
	}
	b.queue.close()
	for _, l := range b.allLines() {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	for _, g := range []*gate.Gate{b.s3, b.azure} {
		if g != nil {
			errs = append(errs, g.Close())
		}
	}
	return errors.Join(errs...)
}

// allLines are all lines; nil are those that were not laid.
func (b *bed) allLines() []*wire.Wire {
	return []*wire.Wire{b.nats, b.redis, b.s3Line, b.azureLine, b.between}
}

// see notes something that was seen.
func (b *bed) see(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.saw = append(b.saw, fmt.Sprintf(format, args...))
}

// blame notes something that must not be.
func (b *bed) blame(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong = append(b.wrong, fmt.Sprintf(format, args...))
}

// hostOf is the host:port of an address.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// through is the address with another host:port.
func through(address, host string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.Host = host
	return u.String()
}

// within is a folder or file of the servers, by its name.
func (b *bed) within(name string) string { return filepath.Join(b.stack.Dir, name) }
