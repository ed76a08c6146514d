package worker

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/ledger/memledger"
	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/tier/breaker"
	"github.com/twinreel/twinreel/pkg/transfer"
)

// How the model's workers are set up.
const (
	modelPart     = 8 << 10
	modelMemory   = 2 * modelPart
	modelSlots    = 2
	modelTries    = 2
	modelBase     = 5 * time.Second
	modelDrain    = 25 * time.Second
	modelBig      = 3 * modelPart // from here on by ranges
	workersOfTier = 2
	modelFailures = 3
	modelOpen     = 30 * time.Second
	modelProbe    = 10 * time.Second
)

// model is the whole world of a run.
type model struct {
	t       *testing.T
	started time.Time
	at      int // the operation
	broken  string
	history []string

	recordings, letters, audit *stream
	durables                   map[string]*durable
	bucket                     *bucket
	ledger                     *memledger.Ledger
	depots                     map[tier.Tier]*depot
	platform                   *mediaHost
	accepted                   []accepted
	late                       []*call
	promised                   // what the promises are held against

	mu        sync.Mutex
	calls     []*call
	processes []*process
	born      int
}

// accepted is a webhook that was answered with 200.
type accepted struct{ recording, eventID string }

func newModel(t *testing.T) *model {
	m := &model{
		t: t, started: time.Now(), recordings: newStream(queue.Recordings, 10*time.Minute), letters: newStream(queue.DeadLetters, 24*time.Hour),
		audit: newStream(queue.Audit, 10*time.Minute), durables: map[string]*durable{}, ledger: memledger.New(time.Now), depots: map[tier.Tier]*depot{},
		platform: newMediaHost(), promised: newPromised(),
	}
	m.bucket = &bucket{model: m, entries: map[string]entry{}}
	for _, t := range tier.All() {
		m.depots[t] = &depot{Store: memstore.New("bucket-" + t.String()), model: m, tier: t}
		for _, l := range queue.Lanes() {
			m.durables[queue.ConsumerName(t, l)] = &durable{tier: t, lane: l, of: map[uint64]*pending{}}
		}
	}
	for _, t := range tier.All() {
		for range workersOfTier {
			m.start(t)
		}
	}
	synctest.Wait()
	return m
}

func (m *model) clock() string { return time.Since(m.started).Round(time.Millisecond).String() }

// nameOf is the recording behind a key of the digests' bucket.
func (m *model) nameOf(key string) string {
	for _, r := range m.platform.reels {
		if event.HashKey(r.name) == key {
			return r.name
		}
	}
	return key
}

// process is one worker, from its start to its end. Restarted it is another.
type process struct {
	model  *model
	tier   tier.Tier
	number int
	*Worker
	source *mediasource.HTTP

	stop     context.CancelFunc // told to stop
	drained  context.CancelFunc // its drain time is over
	dead     chan struct{}
	ended    chan struct{}
	frozen   atomic.Bool
	stopping bool
	fetch    *batch
	granted  []*parcel // of the backfill lane
	hands    map[handID]*hand
	seenSick
	refused int // the operation in which AUDIT refused its event, and it knows of none taken since; -1: none
}

// handID tells the deliveries of a process apart.
type handID struct {
	lane  queue.Lane
	seq   uint64
	count int
}

func (p *process) String() string { return fmt.Sprintf("%s#%d", p.tier, p.number) }

// start starts a worker of tier t: all of it is the program's own but what its calls go to.
func (m *model) start(t tier.Tier) {
	m.born++
	ctx, stop := context.WithCancel(context.Background())
	drain, drained := context.WithCancel(context.Background())
	p := &process{
		model: m, tier: t, number: m.born, stop: stop, drained: drained, dead: make(chan struct{}), ended: make(chan struct{}),
		hands: map[handID]*hand{}, refused: -1,
	}
	j := &js{model: m, process: p}
	p.source = mediasource.NewHTTP(mediasource.Config{RangeThreshold: modelBig, MaxBytes: 1 << 30, AllowHTTP: true, StallTimeout: 30 * time.Second}, modelPart, mediasource.Network(m.platform.dial))
	p.Worker = newModelWorker(m, p, j)
	c := &queue.Consumer{JS: j, Tier: t, Slots: modelSlots, Open: p.open, Log: zap.NewNop()}
	go func() {
		defer close(p.ended)
		var both sync.WaitGroup
		both.Go(func() {
			c.Run(ctx, drain, func(ctx context.Context, d queue.Delivery) error {
				return p.Handle(context.WithValue(ctx, handKey{}, p.handOf(d)), d)
			})
		})
		both.Go(func() { p.gate.watch(ctx, j) })
		both.Go(func() { p.probes(ctx) })
		both.Wait()
	}()
	m.processes = append(m.processes, p)
}

func newModelWorker(m *model, p *process, j *js) *Worker {
	buffers := transfer.NewBuffers(modelMemory, modelPart)
	metrics := newMetrics(prometheus.NewRegistry(), p.tier, buffers)
	config := Config{
		Retry: queue.Schedule{Base: modelBase, Cap: 32 * modelBase}, Work: Work{Concurrency: modelSlots, MaxAttempts: modelTries},
		Breaker: breaker.Config{Failures: modelFailures, Open: modelOpen}, Health: Health{DegradedAfter: modelFailures, ProbeInterval: modelProbe},
	}
	publisher := queue.NewPublisher(&nats.Conn{}, j)
	gate := &auditGate{to: publisher, gauge: metrics.refusing}
	var store objstore.Writer = streamer{client{m.depots[p.tier], p}}
	if p.tier == tier.Backup {
		store = struct{ objstore.Writer }{client{m.depots[p.tier], p}}
	}
	k, sick := newKeeper(config, p.tier, p.String(), store, gate, time.Now, zap.NewNop()), newSickHosts(config.Breaker)
	k.others.Store(p.number%2 == 1) // each second one believes that another is well, whatever is true
	return &Worker{
		config: config, publisher: publisher, gate: gate, keeper: k, hosts: newHosts(), sick: sick, metrics: metrics, logger: zap.NewNop(),
		copier: &transfer.Copier{
			Tier: p.tier, Source: sparing{reader{p.source, m}, sick}, Store: k.store, Ledger: notebook{m.ledger, m}, Agreement: digest.NewKV(m.bucket, 5*time.Second), Audit: gate,
			Buffers: buffers, StreamMax: modelBig, StreamFor: 0, Read: func(int) {}, Now: time.Now, Log: zap.NewNop(),
		},
	}
}

// newHand begins a delivery. The lock is held.
func (m *model) newHand(p *process, lane queue.Lane, s *stored, count int) *hand {
	e, err := event.Parse(s.body)
	h := &hand{process: p, lane: lane, seq: s.seq, count: count, event: e, valid: err == nil, began: len(m.history), calls: map[string]int{}}
	p.hands[handID{lane, s.seq, count}] = h
	return h
}

func (p *process) handOf(d queue.Delivery) *hand {
	p.model.mu.Lock()
	defer p.model.mu.Unlock()
	return p.hands[handID{d.Lane, d.Sequence, d.Count}]
}

func (m *model) isDead(p *process) bool {
	select {
	case <-p.dead:
		return true
	default:
		return false
	}
}

// kill ends the process where it stands: none of its calls has any effect from now on.
func (m *model) kill(p *process) {
	if m.isDead(p) {
		return
	}
	close(p.dead)
	m.end(p)
	p.drained()
}

// end tells the process to stop.
func (m *model) end(p *process) {
	m.mu.Lock()
	p.stopping = true
	p.endFetch()
	for _, g := range p.granted {
		g.pending.hand = nil // it never left the server
	}
	p.granted = nil
	m.mu.Unlock()
	p.stop()
}

// shut tells the process to stop and gives it its drain time, as the program does at SIGTERM.
func (m *model) shut(p *process) {
	m.end(p)
	time.AfterFunc(modelDrain, p.drained)
}

// reap forgets processes that have ended and starts others in their place.
func (m *model) reap() {
	for _, p := range slices.Clone(m.processes) {
		select {
		case <-p.ended:
		default:
			if !m.isDead(p) {
				continue
			}
		}
		m.buried(p)
		p.source.Close()
		m.processes = slices.DeleteFunc(m.processes, func(o *process) bool { return o == p })
	}
	for _, t := range tier.All() {
		alive := 0
		for _, p := range m.processes {
			if p.tier == t && !p.stopping {
				alive++
			}
		}
		for range workersOfTier - alive {
			m.start(t)
		}
	}
	synctest.Wait()
}

// close ends everything, so that nothing is left of the run.
func (m *model) close() {
	for _, p := range m.processes {
		m.kill(p)
	}
	synctest.Wait()
	for _, p := range m.processes {
		p.source.Close()
	}
	m.platform.stop()
}
