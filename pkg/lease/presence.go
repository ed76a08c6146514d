// Package lease is what the programs know of each other's lives, by the KV bucket twinreel-leases: a key there lapses a
// minute after its holder last renewed it.
package lease

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
)

// Times of a Presence.
const (
	renewEvery = 15 * time.Second // four times within the minute
	countEvery = 5 * time.Second
	patience   = 3 * time.Second // for one request
)

// Presence is one of several instances that live at the same time and share something: it holds the key <kind>.<instance>,
// and counts the others. While the bucket cannot be read it stays with the last count: who shares a limit by it must not
// take more because NATS is away.
//
// It needs DIRECT.GET and STREAM.INFO of the bucket's stream, and to publish its own key.
type Presence struct {
	bucket         *queue.Bucket
	kind, key      string
	log            *zap.Logger
	renew, recount time.Duration
	live           atomic.Int64

	mu     sync.Mutex
	failed error // of the latest look; nil when all is well
}

// NewPresence returns the presence of an instance of that kind; nobody knows of it until Run runs.
func NewPresence(nc *nats.Conn, js jetstream.JetStream, kind, instance string, log *zap.Logger) *Presence {
	p := &Presence{
		bucket: queue.NewBucket(nc, js, queue.Leases), kind: kind, key: kind + "." + instance, log: log, renew: renewEvery, recount: countEvery,
	}
	p.live.Store(1)
	return p
}

// Live returns how many instances of the kind live, this one included: at least 1. It never waits.
func (p *Presence) Live() int { return int(p.live.Load()) }

// Check says why the others cannot be counted, or know nothing of this instance.
func (p *Presence) Check(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

// Run keeps the instance present until ctx ends; then it takes its key back, so that the others need not wait for it to lapse.
func (p *Presence) Run(ctx context.Context) {
	tick := time.NewTicker(p.recount)
	defer tick.Stop()
	var renewed time.Time
	for {
		renewed = p.look(ctx, renewed)
		select {
		case <-ctx.Done():
			p.leave(context.WithoutCancel(ctx))
			return
		case <-tick.C:
		}
	}
}

// look counts, and renews the key when it is time, or when it is not there. It returns when the key was last renewed.
func (p *Presence) look(ctx context.Context, renewed time.Time) time.Time {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	others, present, err := p.count(ctx)
	now := time.Now()
	if err == nil && (!present || now.Sub(renewed) >= p.renew) {
		if err = p.put(ctx, now); err == nil {
			renewed = now
		}
	}
	p.note(others, err)
	return renewed
}

// count returns how many others there are, and whether this instance's own key is there.
func (p *Presence) count(ctx context.Context) (others int, present bool, err error) {
	values, err := p.bucket.Values(ctx, p.kind+".*")
	if err != nil {
		return 0, false, err
	}
	for _, v := range values {
		if v.Key == p.key {
			present = true
		} else {
			others++
		}
	}
	return others, present, nil
}

func (p *Presence) put(ctx context.Context, now time.Time) error {
	body, err := json.Marshal(struct {
		Renewed time.Time `json:"renewed"`
	}{now.UTC()})
	if err != nil {
		return err
	}
	return p.bucket.Put(ctx, p.key, body)
}

// note keeps what was seen, and says what has changed.
func (p *Presence) note(others int, err error) {
	p.mu.Lock()
	was := fault.Text(p.failed)
	p.failed = err
	p.mu.Unlock()
	if text := fault.Text(err); err != nil {
		if text != was {
			p.log.Warn("the leases cannot be read or renewed; the last count of live instances stands", zap.String("kind", p.kind), zap.String("error", text))
		}
		return
	}
	if live := int64(others + 1); p.live.Swap(live) != live {
		p.log.Info("live instances", zap.String("kind", p.kind), zap.Int64("live", live))
	}
}

// leave takes the key back. Where that fails it lapses by itself.
func (p *Presence) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := p.bucket.Drop(ctx, p.key); err != nil {
		p.log.Warn("the lease could not be taken back; it lapses by itself", zap.String("kind", p.kind), zap.String("error", fault.Text(err)))
	}
}
