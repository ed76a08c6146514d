package worker

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/transfer"
)

// Follow is when the peer region's events are looked at here.
type Follow struct {
	After time.Duration `env:"TWINREEL_PEER_AFTER" envDefault:"15m" meaning:"age from which on an event of the other region is held against the store, and done here where it was not there"`
}

// Check implements settings.Checker.
func (f *Follow) Check() []settings.Problem {
	if f.After < time.Second {
		return []settings.Problem{{Variable: "TWINREEL_PEER_AFTER", Text: "want at least 1s"}}
	}
	return nil
}

// A follower lets no more be pulled until the oldest event that is too young is due, but looks at least so often: what it
// handed back for other reasons comes before that. What waits for a redrive is looked at again as often.
const (
	followLook = 30 * time.Second
	awaitCopy  = time.Minute
)

// follower keeps the peer's events from being looked at while they are young: its own workers are at them.
type follower struct {
	*Worker
	after  time.Duration
	inHand atomic.Int32
	rest   atomic.Pointer[time.Time] // nothing is pulled before
}

// follow returns what does the peer's events beside the worker's own: by the same store, keeper and log, but obeying what was
// agreed on there before what is agreed on here.
func (w *Worker) follow(nc *nats.Conn, own digest.Agreement, peer peerBuckets, after time.Duration) *follower {
	copier := transfer.Copier{
		Tier: w.copier.Tier, Source: w.copier.Source, Sibling: w.copier.Sibling, Store: w.copier.Store, Ledger: w.copier.Ledger,
		Agreement: &digest.Regions{Own: own, Peer: peer.digests, Stones: peer.stones, Follow: true},
		Audit:     w.copier.Audit, Buffers: w.copier.Buffers, StreamMax: w.copier.StreamMax, StreamFor: w.copier.StreamFor, Read: w.copier.Read,
		Now: w.copier.Now, Log: w.copier.Log,
	}
	log := queue.NewPeerLog(nc, w.copier.Tier.Sibling())
	copier.Elsewhere = func(ctx context.Context, job transfer.Job) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, peerLogTimeout)
		defer cancel()
		since := job.Stored // a redrive's is later than the copy; and streams' leaders have clocks of their own
		if at := job.Event.Data.ReceivedAt; !at.IsZero() && at.Before(since) {
			since = at
		}
		return log.Held(ctx, job.Event.Data.IdempotencyKey, since.Add(-time.Minute))
	}
	second := *w
	second.copier = &copier
	return &follower{Worker: &second, after: after}
}

// peerLogTimeout bounds the reading of the peer's log: after the loss of a region a whole backlog's.
const peerLogTimeout = time.Minute

// peerBuckets are the mirrors of what was agreed on, and forgotten, in the peer region.
type peerBuckets struct {
	digests digest.Known
	stones  digest.Known
}

// openPeer opens the mirrors.
func openPeer(ctx context.Context, js jetstream.JetStream) (peerBuckets, error) {
	digests, err := js.KeyValue(ctx, queue.PeerDigests)
	if err != nil {
		return peerBuckets{}, err
	}
	stones, err := js.KeyValue(ctx, queue.PeerTombstones)
	if err != nil {
		return peerBuckets{}, err
	}
	return peerBuckets{digest.NewKV(digests, agreementTimeout), digest.NewTombstones(stones, agreementTimeout)}, nil
}

// Handle is the queue.Handler: it hands back what is young, and has the rest done.
func (f *follower) Handle(ctx context.Context, d queue.Delivery) error {
	if wait := f.after - f.copier.Now().Sub(d.Stored); wait > 0 {
		until := f.copier.Now().Add(min(wait, followLook))
		f.rest.Store(&until)
		return &queue.Later{After: wait, Err: errors.New("the other region is at it")}
	}
	f.inHand.Add(1)
	defer f.inHand.Add(-1)
	return f.Worker.Handle(ctx, d)
}

// open is the follower's gate: a tenth of the slots beside the worker's own events, and more where those leave slots over. A
// degraded store takes one recording at a time, and that is one of the worker's own.
func (f *follower) open() queue.Allowance {
	if until := f.rest.Load(); until != nil && f.copier.Now().Before(*until) {
		return queue.Allowance{}
	}
	a := f.Worker.open()
	if a.Slots < 2 {
		return queue.Allowance{}
	}
	own := int(f.keeper.inHand.Load() - f.inHand.Load())
	return queue.Allowance{Slots: max(queue.Allow(a.Slots).Beside, a.Slots-own)}
}

// run pulls and handles the peer's events until ctx ends, as Worker.consume does the worker's own.
func (f *follower) run(ctx, drain context.Context, js jetstream.JetStream) {
	c := &queue.Consumer{JS: js, Tier: f.copier.Tier, Peers: true, Slots: f.config.Work.Concurrency, Open: f.open, Log: f.logger}
	c.Run(ctx, drain, f.Handle)
}

// awaits hands back what waits for a redrive: uncounted.
func (w *Worker) awaits(d queue.Delivery, e event.Event, err error) error {
	w.metrics.deliveries.WithLabelValues(outcomeAwaits).Inc()
	w.log(d, e).Info("waits for a redrive", zap.Duration("again_in", awaitCopy), zap.String("error", err.Error()))
	return &queue.Later{After: awaitCopy, Err: err}
}
