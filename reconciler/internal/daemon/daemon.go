// Package daemon is `reconciler run`: it puts the parts together that run in the foreground.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/twinreel/twinreel/pkg/lease"
	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/service"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/api"
	"github.com/twinreel/twinreel/reconciler/internal/audit/seal"
	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/dlq"
	"github.com/twinreel/twinreel/reconciler/internal/gauges"
	"github.com/twinreel/twinreel/reconciler/internal/objective"
	"github.com/twinreel/twinreel/reconciler/internal/pending"
	"github.com/twinreel/twinreel/reconciler/internal/reconcile"
	"github.com/twinreel/twinreel/reconciler/internal/scrub"
)

// storeLook is how long the readiness detail of a store is believed: looking is a request that somebody pays.
const storeLook = 30 * time.Second

// parts is what the daemon is made of.
type parts struct {
	*service.Service
	config    config.Run
	nc        *nats.Conn
	js        jetstream.JetStream
	publisher *queue.Publisher
	redis     *redisledger.Ledger
	stores    map[tier.Tier]objstore.Reader
	sealer    *seal.Sealer
	index     *pending.Index
	letters   *pending.Letters
	log       *pending.Log
	gauges    *gauges.Gauges
	numbers   *reconcile.Metrics // of runs
	status    reconcile.Status   // of the run that is under way
	scrubbed  *scrub.Metrics
	objective *objective.Latest
}

// Run is the daemon's whole life. NATS, Redis and the stores may be away at any time.
func Run(ctx context.Context, s *service.Service, c config.Run) error {
	nc, js, err := queue.Connect(c.NATS, s.Program, s.Instance, s.Log)
	if err != nil {
		return err
	}
	defer nc.Close()
	s.Check("streams", true, queue.Provisioned(js, c.NATS.Replicas, queue.Recordings, queue.DeadLetters, queue.Audit,
		queue.BucketStream(queue.Digests), queue.BucketStream(queue.Leases))) // first: connected is not yet ready
	s.Check("nats", true, queue.Reachable(nc))
	redis, err := redisledger.Open(c.Redis)
	if err != nil {
		return fmt.Errorf("set up the ledger: %w", err)
	}
	defer func() { _ = redis.Close() }()
	s.Check("redis", false, redis.Ping)
	stores, err := OpenStores(ctx, c.Stores, func(text string) { s.Log.Warn("aws credentials", zap.String("trouble", text)) })
	if err != nil {
		return err
	}
	for _, t := range tier.All() {
		s.Check("store "+t.String(), false, every(storeLook, answers(stores[t])))
	}
	publisher := queue.NewPublisher(nc, js)
	sealer, err := NewSealer(ctx, Sealing{
		JS: js, Peer: c.NATS.Peer, Publisher: publisher, Stores: c.Stores, Readers: stores, Keys: c.Audit.Keys, TTL: c.Redis.TTL, Metrics: seal.NewMetrics(s.Registry), Log: s.Log,
	})
	if err != nil {
		return err
	}
	p := &parts{
		Service: s, config: c, nc: nc, js: js, publisher: publisher, redis: redis, stores: stores, sealer: sealer, index: pending.New(js, s.Log),
		letters: pending.NewLetters(js, s.Log), log: pending.NewLog(js, s.Log), gauges: gauges.New(js, c.NATS.Peer, s.Registry, s.Log),
		numbers: reconcile.NewMetrics(s.Registry), scrubbed: scrub.NewMetrics(s.Registry), objective: &objective.Latest{},
	}
	objective.Register(s.Registry, p.objective.Report)
	return p.run(ctx)
}

// OpenStores opens both stores for reading. They need not answer.
func OpenStores(ctx context.Context, c config.Stores, warn func(text string)) (map[tier.Tier]objstore.Reader, error) {
	primary, err := s3store.OpenReader(ctx, c.S3, s3store.OnWarning(warn))
	if err != nil {
		return nil, err
	}
	backup, err := azstore.OpenReader(ctx, c.Azure)
	if err != nil {
		return nil, err
	}
	return map[tier.Tier]objstore.Reader{tier.Primary: primary, tier.Backup: backup}, nil
}

// run serves the API, and leads when it is its turn.
func (p *parts) run(ctx context.Context) error {
	l, err := service.Listen("TWINREEL_API_ADDR", p.config.API.Addr)
	if err != nil {
		return err
	}
	p.Log.Info("serving the record API", zap.Stringer("addr", l.Addr()), zap.Bool("token", p.config.API.Token.IsSet()))
	leader := lease.NewLeader(p.js, p.Instance, p.Log)
	if p.config.Lead.Standby {
		leader.Stand()
	}
	p.Check("leader", false, leader.Check)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { p.index.Run(ctx) })
	all.Go(func() { p.letters.Run(ctx) })
	all.Go(func() { p.log.Run(ctx) })
	all.Go(func() { leader.Run(ctx, p.lead) })
	err = api.Serve(ctx, p.Drain(), l, &api.Handler{
		Find: p.find, Objective: p.objective.Report, Progress: p.status.Now, Audit: p.publisher, Token: p.config.API.Token, Now: time.Now, Log: p.Log,
	}, p.Log)
	stop()
	return err
}

// lead is what only the leader does, until ctx ends.
func (p *parts) lead(ctx context.Context) {
	digests, err := p.digests(ctx)
	if err != nil {
		return // told to stop while it waited
	}
	look, redrive := dlq.Schedules()
	follower := &dlq.Follower{
		JS: p.js, Publisher: p.publisher, Digests: digests, Stores: p.stores, Ledger: p.redis, Look: look, Redrive: redrive,
		Rate: rate.NewLimiter(rate.Limit(p.config.Repair.Rate), 1), Now: time.Now, Log: p.Log,
	}
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { p.gauges.Run(ctx, follower.Open) })
	all.Go(func() { p.reconcile(ctx) })
	all.Go(func() { p.sealer.Run(ctx) })
	all.Go(func() { p.scrub(ctx) })
	all.Go(func() { p.objective.Run(ctx, objective.New(p.js, p.Log, objective.All)) })
	follower.Run(ctx)
}

// digests waits until the bucket is there.
func (p *parts) digests(ctx context.Context) (jetstream.KeyValue, error) {
	return await(ctx, func() (jetstream.KeyValue, error) { return p.js.KeyValue(ctx, queue.Digests) })
}

// await asks until it gets what it asks for. An error says that ctx has ended.
func await[T any](ctx context.Context, ask func() (T, error)) (T, error) {
	for {
		got, err := ask()
		if err == nil {
			return got, nil
		}
		select {
		case <-ctx.Done():
			return got, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// answers asks for an object that is never there: an answer says that the store is reached and our identity known.
func answers(store objstore.Reader) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := store.Stat(ctx, "metadata/readiness-probe.json")
		if errors.Is(err, objstore.ErrNotExist) {
			return nil
		}
		return err
	}
}

// every believes the last answer of ask for d.
func every(d time.Duration, ask func(context.Context) error) func(context.Context) error {
	var mu sync.Mutex
	var asked time.Time
	var answer error
	return func(ctx context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		if asked.IsZero() || time.Since(asked) >= d {
			answer, asked = ask(ctx), time.Now()
		}
		return answer
	}
}
