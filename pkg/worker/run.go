package worker

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/objstore"
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

// storeLook is how long the readiness detail of the store is believed: looking is a request that somebody pays.
const storeLook = 30 * time.Second

// Run is a worker's whole life: it waits until JetStream has what it needs, copies what t's consumers deliver into store
// until ctx ends, and hands the rest back. Redis and the store may be away at any time.
func Run(ctx context.Context, s *service.Service, c Config, t tier.Tier, store objstore.Writer) error {
	debug.SetMemoryLimit(int64(c.Work.Memory) + besides)
	debug.SetGCPercent(gcPercent)
	nc, js, err := queue.Connect(c.NATS, s.Program, s.Instance, s.Log)
	if err != nil {
		return err
	}
	defer flush(nc)
	ready := queue.Provisioned(js, c.NATS.Replicas, queue.Recordings, queue.DeadLetters, queue.Audit, queue.BucketStream(queue.Digests))
	s.Check("streams", true, ready) // first: connected is not yet ready
	s.Check("nats", true, queue.Reachable(nc))

	redis, err := redisledger.Open(c.Redis)
	if err != nil {
		return fmt.Errorf("set up the ledger: %w", err)
	}
	defer func() { _ = redis.Close() }()
	s.Check("redis", false, redis.Ping)
	s.Check("store", false, every(storeLook, time.Now, storeAnswers(store)))

	buffers := transfer.NewBuffers(int64(c.Work.Memory), int(c.Work.Part))
	m := newMetrics(s.Registry, t, buffers)
	publisher := queue.NewPublisher(nc, js)
	gate := &auditGate{to: publisher, gauge: m.refusing}
	s.Check("audit", false, gate.check)

	agreed, err := agreement(ctx, js, ready, s.Log)
	if err != nil {
		return nil // told to stop while it waited
	}
	w := &Worker{
		config: c, publisher: publisher, gate: gate, hosts: newHosts(), metrics: m, logger: s.Log,
		copier: &transfer.Copier{
			Tier: t, Source: mediasource.NewHTTP(c.Source, int64(c.Work.Part)), Store: store, Ledger: redis, Agreement: agreed, Audit: gate,
			Buffers: buffers, StreamMax: streamMax, StreamFor: streamFor, Read: func(n int) { m.bytes.Add(float64(n)) }, Now: time.Now, Log: s.Log,
		},
	}
	w.consume(ctx, s.Drain(), js)
	return nil
}

// storeAnswers asks for an object that is never there: an answer says that the store is reached and our identity known.
func storeAnswers(store objstore.Writer) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := store.ReadSidecar(ctx, event.SidecarKey("readiness-probe"))
		if err != nil && !isAbsent(err) {
			return fmt.Errorf("%s", fault.Text(err))
		}
		return nil
	}
}

// every believes the last answer of ask for d.
func every(d time.Duration, now func() time.Time, ask func(context.Context) error) func(context.Context) error {
	var mu sync.Mutex
	var asked time.Time
	var answer error
	return func(ctx context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		if asked.IsZero() || now().Sub(asked) >= d {
			answer, asked = ask(ctx), now()
		}
		return answer
	}
}
