package worker

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/platform"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/service"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/transfer"
)

// How the garbage collector is set: what a worker needs in memory besides its media buffers, and how much garbage, as a
// share of what lives, it may gather while all memory is below that. Small recordings leave little alive, so that by
// default the collector would run for each few dozen of them.
const (
	besides   = 48 << 20
	gcPercent = 300
)

// Up to streamMax bytes a recording goes up in one request while it is read, and a larger one if that is not expected to
// take longer than streamFor: what lasts longer is likelier to break, and having to read it all again is dear.
const (
	streamMax = 64 << 20
	streamFor = 10 * time.Second
)

// Option changes how a worker runs.
type Option func(*keeper)

// HoldRequests holds the requests to the store, of all live workers of the tier together, to so many a second.
func HoldRequests(perSecond float64) Option {
	return func(k *keeper) { k.requests = newRequests(perSecond) }
}

// Run is a worker's whole life: it waits until JetStream has what it needs, copies what t's consumers deliver into store
// until ctx ends, and hands the rest back. Redis and the store may be away at any time.
func Run(ctx context.Context, s *service.Service, c Config, t tier.Tier, store objstore.Writer, options ...Option) error {
	debug.SetMemoryLimit(int64(c.Work.Memory) + besides)
	debug.SetGCPercent(gcPercent)
	nc, js, err := queue.Connect(c.NATS, s.Program, s.Instance, s.Log)
	if err != nil {
		return err
	}
	defer flush(nc)
	needs := append([]string{queue.Recordings, queue.DeadLetters, queue.Audit, queue.BucketStream(queue.Digests)}, c.NATS.Peer.Streams()...)
	ready := queue.Provisioned(js, c.NATS.Replicas, needs...)
	s.Check("streams", true, ready) // first: connected is not yet ready
	s.Check("nats", true, queue.Reachable(nc))

	redis, err := redisledger.Open(c.Redis)
	if err != nil {
		return fmt.Errorf("set up the ledger: %w", err)
	}
	defer func() { _ = redis.Close() }()
	s.Check("redis", false, redis.Ping)

	buffers := transfer.NewBuffers(int64(c.Work.Memory), int(c.Work.Part))
	m := newMetrics(s.Registry, t, buffers)
	publisher := queue.NewPublisher(nc, js)
	gate := &auditGate{to: publisher, gauge: m.refusing}
	s.Check("audit", false, gate.check)
	k := newKeeper(c, t, s.Instance, store, gate, time.Now, s.Log)
	for _, set := range options {
		set(k)
	}
	s.Check("store", false, k.answers)
	s.Check("breaker", false, k.passes)
	s.Check("tier", false, k.stands)

	own, peer, err := agreement(ctx, js, c.NATS.Peer.Known(), ready, s.Log)
	if err != nil {
		return nil // told to stop while it waited
	}
	agreed := own
	if c.NATS.Peer.Known() {
		agreed = &digest.Regions{Own: own, Peer: peer.digests}
	}
	sick := newSickHosts(c.Breaker)
	api, err := platform.New(c.Source.Platform, redis, func(variable, text string) {
		s.Log.Warn("a secret could not be read again", zap.String("variable", variable), zap.String("error", text))
	})
	if err != nil {
		return err
	}
	source := mediasource.NewHTTP(c.Source, int64(c.Work.Part), mediasource.Tokens(api))
	w := &Worker{
		config: c, publisher: publisher, gate: gate, keeper: k, hosts: newHosts(), sick: sick, metrics: m, logger: s.Log,
		copier: &transfer.Copier{
			Tier: t, Source: mediasource.Fresh{Media: sparing{source, sick}, Links: api}, Sibling: mediasource.NewSibling(c.Source, int64(c.Work.Part)),
			Store: k.store, Ledger: redis, Agreement: agreed, Audit: gate,
			Buffers: buffers, StreamMax: streamMax, StreamFor: streamFor, Read: func(n int) { m.bytes.Add(float64(n)) }, Now: time.Now, Log: s.Log,
		},
	}
	watch(s.Registry, k, w.open)
	board := queue.NewBoard(nc, js)
	watcher := queue.NewWatcher(board, s.Log)
	tell := newTeller(k, board, watcher.Standings)
	beside := []func(context.Context){watcher.Run, tell.run}
	if c.NATS.Peer.Known() {
		f := w.follow(nc, own, peer, c.Follow.After)
		beside = append(beside, func(ctx context.Context) { f.run(ctx, s.Drain(), js) })
	}
	w.consume(ctx, s.Drain(), js, beside...)
	return nil
}
