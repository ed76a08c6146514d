package story

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/deploy/local/internal/stack"
)

// Tiers are the names of both tiers.
func Tiers() []string { return []string{"primary", "backup"} }

// Copy is a verified copy, as the audit log reports it.
type Copy struct {
	At   time.Time
	Size int64
}

// Watch follows the audit log from outside and knows which tier has what, since when.
type Watch struct {
	nc *nats.Conn
	cc jetstream.ConsumeContext

	mu      sync.Mutex
	copies  map[string]map[string]Copy // by tier, by idempotency key
	changed chan struct{}              // closed and replaced at each change
}

// StartWatch follows the audit log of a world from its beginning.
func StartWatch(ctx context.Context, access stack.NATSAccess) (*Watch, error) {
	nc, err := nats.Connect(access.URL, nats.UserInfo(access.User, access.Password), nats.Name("story"), nats.MaxReconnects(-1))
	if err != nil {
		return nil, fmt.Errorf("connect to NATS to watch the audit log: %w", err)
	}
	w := &Watch{nc: nc, copies: make(map[string]map[string]Copy), changed: make(chan struct{})}
	for _, tier := range Tiers() {
		w.copies[tier] = make(map[string]Copy)
	}
	js, err := jetstream.New(nc)
	if err == nil {
		w.cc, err = w.consume(ctx, js)
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("watch the audit log: %w", err)
	}
	return w, nil
}

func (w *Watch) consume(ctx context.Context, js jetstream.JetStream) (jetstream.ConsumeContext, error) {
	consumer, err := js.OrderedConsumer(ctx, "AUDIT", jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{"audit.stored.*", "audit.already_present.*", "audit.accepted_unverified.*"},
	})
	if err != nil {
		return nil, err
	}
	return consumer.Consume(func(m jetstream.Msg) { w.note(m.Subject(), m.Data()) })
}

// note takes in one audit event. One that cannot be read reports no copy.
func (w *Watch) note(subject string, body []byte) {
	var e struct {
		Time time.Time
		Data struct {
			IdempotencyKey string
			Size           int64
		}
	}
	tier := subject[strings.LastIndexByte(subject, '.')+1:]
	if json.Unmarshal(body, &e) != nil || e.Data.IdempotencyKey == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.copies[tier][e.Data.IdempotencyKey]; known || w.copies[tier] == nil {
		return
	}
	w.copies[tier][e.Data.IdempotencyKey] = Copy{At: e.Time, Size: e.Data.Size}
	close(w.changed)
	w.changed = make(chan struct{})
}

// Count is how many recordings a tier has, and their bytes.
func (w *Watch) Count(tier string) (recordings int, bytes int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.copies[tier] {
		bytes += c.Size
	}
	return len(w.copies[tier]), bytes
}

// Between is what a tier got after from and until to.
func (w *Watch) Between(tier string, from, to time.Time) (recordings int, bytes int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.copies[tier] {
		if c.At.After(from) && !c.At.After(to) {
			recordings++
			bytes += c.Size
		}
	}
	return recordings, bytes
}

// Copy is a tier's copy of a recording, if it has one.
func (w *Watch) Copy(tier, key string) (Copy, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.copies[tier][key]
	return c, ok
}

// Wait waits until the tier has at least n recordings. It fails when ctx ends.
func (w *Watch) Wait(ctx context.Context, tier string, n int) error {
	for {
		w.mu.Lock()
		have, changed := len(w.copies[tier]), w.changed
		w.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait until %s has %d recordings (it has %d): %w", tier, n, have, context.Cause(ctx))
		}
	}
}

// Close ends the watch.
func (w *Watch) Close() {
	w.cc.Stop()
	w.nc.Close()
}
