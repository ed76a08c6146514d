package reconcile

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
	"github.com/twinreel/twinreel/reconciler/internal/evidence"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
	"github.com/twinreel/twinreel/reconciler/internal/plan"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
	"github.com/twinreel/twinreel/reconciler/internal/repair"
)

// Parts are what a Runner is put together from.
type Parts struct {
	NC       *nats.Conn
	JS       jetstream.JetStream
	Peer     queue.Peer
	Stores   map[tier.Tier]objstore.Reader
	Sealed   func(ctx context.Context) iter.Seq2[inventory.Entry, error]                             // what the sealed log says was stored
	Proven   func(ctx context.Context, claimed inventory.Entry) (map[string]inventory.Sealed, error) // see plan.Planner
	Letters  func(ctx context.Context) error                                                         // see Runner
	Rules    plan.Rules
	Every    time.Duration
	Rate     float64 // of events sent again, per second
	By       string
	Progress func(stage string, done, total int64)
	Log      *zap.Logger
}

// New puts a Runner together. queue.ErrNotProvisioned where a bucket is not there.
func New(ctx context.Context, p Parts) (*Runner, error) {
	digests, err := p.JS.KeyValue(ctx, queue.Digests)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		err = queue.ErrNotProvisioned
	}
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", queue.Digests, err)
	}
	book, err := quarantine.Open(ctx, p.JS)
	if err != nil {
		return nil, err
	}
	stones, err := erasure.Open(ctx, p.JS)
	if err != nil {
		return nil, err
	}
	peer, err := plan.NewPeer(ctx, p.JS, p.Peer)
	if err != nil {
		return nil, err
	}
	source := evidence.Source{Digests: digests, Stores: p.Stores}
	if peer != nil {
		source.Peer = peer.Digests
	}
	publisher := queue.NewPublisher(p.NC, p.JS)
	return &Runner{
		JS: p.JS, Publisher: publisher, Letters: p.Letters, Every: p.Every, By: p.By, Now: time.Now, Log: p.Log,
		Planner: &plan.Planner{
			JS: p.JS, Peer: peer, Digests: digests, Stores: p.Stores, Board: queue.NewBoard(p.NC, p.JS).Read, Erased: stones.Known, Noted: noted(book), GivenUp: givenUp(book),
			Sealed: p.Sealed, Proven: p.Proven, Rules: p.Rules, Now: time.Now, Progress: p.Progress, Pause: rest, Log: p.Log,
		},
		Repairer: &repair.Repairer{
			JS: p.JS, Publisher: publisher, Source: source, Book: book, Erased: stones.Known,
			Rate: rate.NewLimiter(rate.Limit(p.Rate), 1), By: p.By, Ahead: mostAhead, Now: time.Now, Pause: rest, Log: p.Log,
			Progress: p.Progress,
		},
	}, nil
}

// mostAhead is how many events may wait in a tier before a copy: at a slow one a second they are served within the life of
// its link.
const mostAhead = 1000

// noted asks quarantine whether it has a finding already.
func noted(book *quarantine.Book) func(context.Context, plan.Finding) (bool, error) {
	return func(ctx context.Context, f plan.Finding) (bool, error) {
		r, err := book.Get(ctx, quarantine.Record{IdempotencyKey: f.IdempotencyKey, ObjectKey: f.ObjectKey}.Name())
		if errors.Is(err, quarantine.ErrNone) {
			return false, nil
		}
		return err == nil && r.Has(f.Difference()), err
	}
}

// givenUp asks quarantine whose dead letters were discarded.
func givenUp(book *quarantine.Book) func(context.Context, string, time.Time) (map[tier.Tier]string, error) {
	return func(ctx context.Context, key string, after time.Time) (map[tier.Tier]string, error) {
		r, err := book.Get(ctx, key)
		if errors.Is(err, quarantine.ErrNone) {
			return nil, nil
		}
		out := map[tier.Tier]string{}
		for t, d := range r.Discarded {
			if d.At.After(after) {
				out[t] = fmt.Sprintf("%s discarded its dead letter on %s: %s", d.By, d.At.Format("2006-01-02"), d.Reason)
			}
		}
		return out, err
	}
}

// rest waits for d, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
