package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/twinreel/twinreel/deploy/local/internal/feed"
	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/gate"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/sink"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
	"github.com/twinreel/twinreel/deploy/local/internal/wire"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
)

// Of a turn of the isolation table.
const (
	offered     = 100 // webhooks a second, at the fixed load
	mediaSize   = 64 * kib
	saturatedBy = 1000 // recordings that wait for the workers
	hooks       = 4000
	hooksAtOnce = 32
)

// turnPatience is how long the healthy tier may take for anything in a turn.
const turnPatience = 2 * time.Minute

// Isolation measures what a healthy tier, and ingress, lose while the other tier's store is dead, frozen or throttling,
// against a sibling that is well: all conditions in turns, on the same servers. scale is of how much each turn does; below 1
// the figures mean little.
//
// A sibling that cannot work frees CPU, and on a machine with two cores that is a gift to whoever is saturated, behind which
// a loss could hide. So there are two more looks: at a fixed load, at which the machine is not saturated – the table says how
// idle – and at what a recording costs the healthy worker of CPU. The latter grows a little by itself: whichever tier comes
// first agrees on a recording's digest, which costs more than reading what was agreed, and a sick sibling never comes first.
func (c Config) Isolation(ctx context.Context, rounds int, scale float64) (lines []Isolated, err error) {
	for _, healthy := range []string{"primary", "backup"} {
		var all []map[Condition]figures
		for n := range rounds {
			turn, err := c.conditions(ctx, healthy, n, scale)
			if err != nil {
				return nil, err
			}
			all = append(all, turn)
		}
		lines = append(lines, compare(healthy, all)...)
	}
	return lines, nil
}

// conditions measures each condition once, on servers of their own, each turn in another order.
func (c Config) conditions(ctx context.Context, healthy string, n int, scale float64) (turn map[Condition]figures, err error) {
	s, err := stack.Start(ctx, c.Set)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	turn = map[Condition]figures{}
	order := conditions()
	for k := range order {
		cond := order[(k+n)%len(order)]
		f, err := c.turn(ctx, s, healthy, cond, scale)
		if err != nil {
			return nil, fmt.Errorf("%s healthy, sibling %s: %w", healthy, cond, err)
		}
		turn[cond] = f
		fmt.Fprintf(c.Say, "%s healthy, sibling %s: %.0f recordings/s, p99 %s, %.0f webhooks/s, p99 %s\n", healthy, cond, f.rate, millis(p99(f.waits)),
			f.webhooks, millis(p99(f.answers)))
	}
	return turn, nil
}

// turn measures once.
func (c Config) turn(ctx context.Context, s *stack.Stack, healthy string, cond Condition, scale float64) (f figures, err error) {
	i := &isolation{Config: c, healthy: healthy, scale: scale, stored: map[string]time.Time{}}
	defer func() { err = errors.Join(err, i.close()) }()
	if err := i.open(ctx, s); err != nil {
		return f, err
	}
	if err := i.fall(cond); err != nil {
		return f, err
	}
	if err := i.fixed(ctx, &f); err != nil {
		return f, err
	}
	if err := i.saturated(ctx, &f); err != nil {
		return f, err
	}
	f.webhooks, err = i.door(ctx)
	return f, err
}

// isolation is what a turn is measured on.
type isolation struct {
	Config
	healthy string
	scale   float64

	fleet     *fleet.Fleet
	queue     *queueView
	to        *queue.Publisher
	ingress   *fleet.Program
	workers   map[string]*fleet.Program // by tier
	platform  *platform.Platform
	feedURL   string
	s3, azure *gate.Gate
	lines     map[string]*wire.Wire // by tier
	ends      []func() error
	sent      int

	mu     sync.Mutex
	stored map[string]time.Time // when the healthy tier's audit event of a recording came
	change chan struct{}
}

// serve answers on a free loopback port until the turn ends.
func (i *isolation) serve(h http.Handler) (addr string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	i.ends = append(i.ends, server.Close)
	return l.Addr().String(), nil
}

// open starts everything: stores that forget, behind gates and lines, a source, and the fleet.
func (i *isolation) open(ctx context.Context, s *stack.Stack) (err error) {
	i.change = make(chan struct{})
	addr, err := i.serve(feed.New())
	if err != nil {
		return err
	}
	i.feedURL = "http://" + addr
	secret := "a secret of the measurement"
	if i.platform, err = platform.New(platform.Config{Secret: secret}); err != nil {
		return err
	}
	i.ends = append(i.ends, i.platform.Close)
	env := map[string]string{}
	if err := i.stores(env); err != nil {
		return err
	}
	if err := i.provision(ctx, s, secret, env); err != nil {
		return err
	}
	return i.start(ctx)
}

// stores makes two stores that forget, and tells the workers where.
func (i *isolation) stores(env map[string]string) error {
	i.lines = map[string]*wire.Wire{}
	for tier, h := range map[string]http.Handler{"primary": sink.NewS3(), "backup": sink.NewAzure()} {
		addr, err := i.serve(h)
		if err != nil {
			return err
		}
		g, err := gate.New(addr)
		if err != nil {
			return err
		}
		w, err := wire.New(tier, g.Addr)
		if err != nil {
			return err
		}
		i.ends = append(i.ends, w.Close, g.Close)
		i.lines[tier] = w
		if tier == "primary" {
			i.s3, env["TWINREEL_S3_ENDPOINT"] = g, "http://"+w.Addr
		} else {
			i.azure, env["TWINREEL_AZURE_SERVICE_URL"] = g, "http://"+w.Addr+"/account"
		}
	}
	return nil
}

// provision makes the fleet's world.
func (i *isolation) provision(ctx context.Context, s *stack.Stack, secret string, env map[string]string) error {
	world, err := s.NewWorld(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(s.Dir, "isolation-")
	if err != nil {
		return err
	}
	if i.fleet, err = fleet.New(fleet.Config{Bin: i.Bin, Dir: dir, World: world, WebhookSecret: secret, Env: env}); err != nil {
		return err
	}
	i.ends = append([]func() error{i.fleet.Close}, i.ends...)
	if err := i.fleet.Provision(ctx); err != nil {
		return err
	}
	if i.queue, err = viewQueue(world.NATS); err != nil {
		return err
	}
	i.ends = append(i.ends, func() error { i.queue.close(); return nil })
	i.to = queue.NewPublisher(i.queue.nc, i.queue.js)
	return nil
}

// start starts the programs.
func (i *isolation) start(ctx context.Context) (err error) {
	sub := queue.AuditSubject(string(event.AuditStored), i.healthy)
	if _, err := i.queue.nc.Subscribe(sub, i.note); err != nil {
		return err
	}
	if i.ingress, err = i.fleet.Start(fleet.Ingress, nil); err != nil {
		return err
	}
	i.workers = map[string]*fleet.Program{}
	for _, tier := range []string{"primary", "backup"} {
		if i.workers[tier], err = i.fleet.Start("worker-"+tier, nil); err != nil {
			return err
		}
	}
	for _, p := range []*fleet.Program{i.ingress, i.workers["primary"], i.workers["backup"]} {
		if err := p.Ready(ctx); err != nil {
			return err
		}
	}
	i.platform.SetIngressURL(i.ingress.URL())
	return nil
}

// fall lets the sibling's store fall ill.
func (i *isolation) fall(cond Condition) error {
	g, code := i.azure, "ServerBusy"
	if i.healthy == "backup" {
		g, code = i.s3, "SlowDown"
	}
	switch cond {
	case Dead:
		return i.lines[sibling(i.healthy)].Cut()
	case Frozen:
		g.Set(gate.Rule{Hold: true})
	case Throttling:
		g.Set(gate.Rule{Answer: &gate.Answer{Status: http.StatusServiceUnavailable, Code: code, RetryAfter: time.Second}})
	case Well:
	}
	return nil
}

// note notes when an audit event of the healthy tier came.
func (i *isolation) note(m *nats.Msg) {
	now := time.Now()
	key := keyOf(m.Data)
	i.mu.Lock()
	defer i.mu.Unlock()
	if _, known := i.stored[key]; !known {
		i.stored[key] = now
		close(i.change)
		i.change = make(chan struct{})
	}
}

// all waits until the healthy tier has stored n recordings since the turn began.
func (i *isolation) all(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, turnPatience)
	defer cancel()
	for {
		i.mu.Lock()
		have, change := len(i.stored), i.change
		i.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return fmt.Errorf("the healthy tier has stored %d of %d: %w", have, n, context.Cause(ctx))
		}
	}
}

func (i *isolation) close() error {
	var errs []error
	if i.s3 != nil {
		i.s3.Set()
	}
	if i.azure != nil {
		i.azure.Set()
	}
	// Nobody waits for what the sibling could not do.
	if i.fleet != nil {
		for _, p := range i.fleet.Programs() {
			errs = append(errs, p.Kill())
		}
	}
	for _, end := range i.ends {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

// body is a webhook's.
func (i *isolation) body(id string) []byte {
	b, err := json.Marshal(map[string]any{
		"event": "RECORDING_COMPLETED", "eventId": id, "recordingId": id, "mediaFormat": "wav", "duration": 1, "participants": []string{},
		"mediaUrl": i.feedURL + feed.Link(mediaSize, id), "size": mediaSize,
	})
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return b
}

// event is the same as an event, for what need not come by a webhook.
func (i *isolation) event(id string) event.Event {
	now, size := time.Now().UTC(), int64(mediaSize)
	return event.New(event.Data{
		RecordingID: id, Source: event.DefaultSource, Media: event.Media{URL: i.feedURL + feed.Link(size, id), Format: "wav", Size: &size},
		DurationSeconds: 1, Participants: []event.Participant{}, ReceivedAt: now,
	}, id, now)
}
