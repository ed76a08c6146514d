package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/transfer"
)

// Worker copies what one tier's consumers deliver.
type Worker struct {
	config    Config
	copier    *transfer.Copier
	publisher *queue.Publisher
	gate      *auditGate
	keeper    *keeper
	hosts     *hosts
	sick      *sickHosts
	metrics   *metrics
	logger    *zap.Logger
}

// message names the delivery's message in the ledger.
func message(d queue.Delivery) ledger.Message {
	return ledger.Message{Stream: d.Stream, Sequence: d.Sequence}
}

func (w *Worker) job(d queue.Delivery, e event.Event) transfer.Job {
	return transfer.Job{Event: e, Message: message(d), Stored: d.Stored, Again: d.Count > 1 || e.Redrive() || w.late(d)}
}

// late says that the peer region may have done the event by now.
func (w *Worker) late(d queue.Delivery) bool {
	return w.config.NATS.Peer.Known() && w.copier.Now().Sub(d.Stored) >= w.config.Follow.After
}

// log returns the logger with the fields that every line about a delivery has.
func (w *Worker) log(d queue.Delivery, e event.Event) *zap.Logger {
	return w.logger.With(zap.String("tier", w.copier.Tier.String()), zap.String("recording_id", e.Data.IdempotencyKey),
		zap.Uint64("sequence", d.Sequence), zap.Int("attempt", d.Count))
}

// Handle is the queue.Handler: it copies one delivery's recording and returns the verdict.
func (w *Worker) Handle(ctx context.Context, d queue.Delivery) (verdict error) {
	w.metrics.inflight.Inc()
	defer w.metrics.inflight.Dec()
	e, err := event.Parse(d.Body)
	if shut := w.keeper.shut(); shut != nil {
		return w.park(d, e, shut) // pulled just before
	}
	w.keeper.inHand.Add(1)
	defer w.keeper.inHand.Add(-1)
	switch {
	case errors.Is(err, event.ErrVersion) && w.copier.Now().Sub(d.Stored) < versionWait:
		return w.again(d, e, fault.New(fault.Transient, fault.Event, "read the event", err), d.Count)
	case err != nil:
		return w.bury(ctx, d, nil, queue.InvalidEvent, err, d.Count)
	}
	defer func() {
		if p := recover(); p != nil {
			w.log(d, e).Error("a defect in this program", zap.String("panic", fault.Clean(fmt.Sprint(p))), zap.ByteString("stack", debug.Stack()))
			verdict = w.judge(ctx, d, e, fault.New(fault.Transient, fault.Worker, "copy", errors.New("a defect in this program; see its log")))
		}
	}()
	ctx = withAsked(ctx, e)
	started := w.copier.Now()
	res, err := w.copier.Copy(ctx, w.job(d, e))
	if err != nil || res.Outcome == transfer.Stored && !res.FromSibling {
		w.sick.ended(askedIn(ctx).host(), e.Data.IdempotencyKey, err)
	}
	if err != nil {
		return w.judge(ctx, d, e, err)
	}
	w.well(ctx, d, e, res, w.copier.Now().Sub(started))
	return nil
}

// well notes a delivery that may be acknowledged.
func (w *Worker) well(ctx context.Context, d queue.Delivery, e event.Event, res transfer.Result, took time.Duration) {
	w.metrics.copied(res, w.copier.Tier, took)
	if res.Outcome == transfer.Stored {
		w.keeper.health.Stored(w.keeper.now())
		if !res.FromSibling {
			w.hosts.serve(askedIn(ctx).host(), w.copier.Now())
		}
	}
	w.log(d, e).Info("copied", zap.String("outcome", string(res.Outcome)), zap.Int64("bytes", res.Digest.Size), zap.Duration("took", took))
}

// open is the consumers' gate: how many messages may be pulled now.
func (w *Worker) open() queue.Allowance {
	if w.gate.refusing.Load() {
		return queue.Allowance{}
	}
	return w.keeper.allowance()
}

// consume pulls until ctx ends and everything in hand is done or, when drain ends, handed back. with runs beside it.
func (w *Worker) consume(ctx, drain context.Context, js jetstream.JetStream, with ...func(context.Context)) {
	c := &queue.Consumer{JS: js, Tier: w.copier.Tier, Slots: w.config.Work.Concurrency, Open: w.open, Log: w.logger}
	var both sync.WaitGroup
	both.Go(func() { c.Run(ctx, drain, w.Handle) })
	both.Go(func() { w.gate.watch(ctx, js) })
	both.Go(func() { w.keeper.probes(ctx) })
	for _, run := range with {
		both.Go(func() { run(ctx) })
	}
	both.Wait()
}

// Times of starting and of talking to NATS.
const (
	startPause       = 500 * time.Millisecond
	agreementTimeout = 5 * time.Second
	flushTimeout     = time.Second // less than a program has to end after its drain time-out
)

// agreement waits until everything that the worker needs in JetStream exists, and opens the digests' bucket, and the peer's. It logs
// what it waits for, once for each new reason.
func agreement(ctx context.Context, js jetstream.JetStream, hasPeer bool, ready func(context.Context) error, log *zap.Logger) (own digest.Agreement, peer peerBuckets, err error) {
	said := ""
	for ctx.Err() == nil {
		try, cancel := context.WithTimeout(ctx, agreementTimeout)
		err := ready(try)
		var kv jetstream.KeyValue
		if err == nil {
			kv, err = js.KeyValue(try, queue.Digests)
		}
		if err == nil && hasPeer {
			peer, err = openPeer(try, js)
		}
		cancel()
		if err == nil {
			return digest.NewKV(kv, agreementTimeout), peer, nil
		}
		if text := fault.Text(err); text != said {
			log.Warn("waiting for JetStream", zap.String("for", text))
			said = text
		}
		select {
		case <-ctx.Done():
		case <-time.After(startPause):
		}
	}
	return nil, peer, ctx.Err()
}

// flush sees hand-backs off before the connection closes.
func flush(nc *nats.Conn) {
	_ = nc.FlushTimeout(flushTimeout)
	nc.Close()
}
