package reconcile

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap/zaptest"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
	"github.com/twinreel/twinreel/reconciler/internal/plan"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// account is this package's JetStream world.
const account = "test38"

// bed is a provisioned JetStream and two stores in memory.
type bed struct {
	t         *testing.T
	nc        *nats.Conn
	js        jetstream.JetStream
	publisher *queue.Publisher
	stores    map[tier.Tier]*memstore.Store
	sealed    []inventory.Entry
	proven    func(ctx context.Context, claimed inventory.Entry) (map[string]inventory.Sealed, error)
	rules     plan.Rules
	peer      queue.Peer
	ahead     time.Duration // of the clock
}

func newBed(t *testing.T) *bed {
	t.Helper()
	nc, js := testenv.Account(t, account)
	return bedOn(t, nc, js, queue.Peer{})
}

// bedOn provisions a JetStream and puts a bed on it.
func bedOn(t *testing.T, nc *nats.Conn, js jetstream.JetStream, peer queue.Peer) *bed {
	t.Helper()
	sizes := queue.Sizes{Recordings: 64 << 20, Letters: 16 << 20, Audit: 64 << 20, MaxAge: 30 * 24 * time.Hour}
	if _, err := (queue.Topology{Sizes: sizes, Replicas: 1, Peer: peer}).Provision(t.Context(), js); err != nil {
		t.Fatal(err)
	}
	b := &bed{
		t: t, nc: nc, js: js, peer: peer, publisher: queue.NewPublisher(nc, js), rules: plan.Rules{Retention: 2555 * 24 * time.Hour},
		stores: map[tier.Tier]*memstore.Store{tier.Primary: memstore.New("primary"), tier.Backup: memstore.New("backup")},
	}
	for _, s := range b.stores {
		s.ServeAt("http://127.0.0.1:1") // a link can be made; nobody follows it here
	}
	return b
}

// runner returns a Runner over the bed.
func (b *bed) runner() *Runner {
	b.t.Helper()
	r, err := New(b.t.Context(), Parts{
		NC: b.nc, JS: b.js, Peer: b.peer, Stores: map[tier.Tier]objstore.Reader{tier.Primary: b.stores[tier.Primary], tier.Backup: b.stores[tier.Backup]},
		Sealed: func(context.Context) iter.Seq2[inventory.Entry, error] {
			return func(yield func(inventory.Entry, error) bool) {
				for _, e := range b.sealed {
					if !yield(e, nil) {
						return
					}
				}
			}
		},
		Proven: b.proven,
		Rules:  b.rules, Every: 24 * time.Hour, Rate: 1e6, By: "test", Progress: func(string, int64, int64) {}, Log: zaptest.NewLogger(b.t),
	})
	b.must(err)
	now := func() time.Time { return time.Now().Add(b.ahead) }
	r.Now, r.Planner.Now, r.Repairer.Now = now, now, now
	return r
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// accept publishes an event as ingress does.
func (b *bed) accept(id string) event.Event {
	b.t.Helper()
	e := event.New(event.Data{
		RecordingID: id, Source: "default", Media: event.Media{URL: "https://cdn.example.com/a", Format: "wav"}, Tags: map[string]string{"queue": "billing"},
	}, "e1", time.Now())
	_, err := b.publisher.Completed(b.t.Context(), queue.Both, e, "")
	b.must(err)
	return e
}

// finish acknowledges everything, as workers that are done.
func (b *bed) finish() { b.finishExcept("") }

// finishExcept acknowledges everything but what names that recording, which stays in hand.
func (b *bed) finishExcept(id string) {
	b.t.Helper()
	for _, t := range tier.All() {
		c, err := b.js.Consumer(b.t.Context(), queue.Recordings, queue.ConsumerName(t, queue.Live))
		b.must(err)
		for {
			batch, err := c.FetchNoWait(1000)
			b.must(err)
			n := 0
			for m := range batch.Messages() {
				if n++; id == "" || !strings.Contains(string(m.Data()), id) {
					b.stored(t, m)
					b.must(m.DoubleAck(b.t.Context()))
				}
			}
			if n == 0 {
				break
			}
		}
	}
}

// store stores a recording in these tiers as the workers do, and leaves its digest entry.
func (b *bed) store(e event.Event, tiers ...tier.Tier) {
	b.t.Helper()
	body := []byte("RIFF of " + e.Data.RecordingID)
	entry, err := event.NewEntry(e, digest.Of(body))
	b.must(err)
	side, err := event.ParseSidecar(entry.Sidecar)
	b.must(err)
	for _, t := range tiers {
		_, err := b.stores[t].Put(b.t.Context(), entry.ObjectKey, body, entry.Digest, objstore.Options{Tags: side.ObjectTags()})
		b.must(err)
		_, err = b.stores[t].Put(b.t.Context(), event.SidecarKey(e.Data.IdempotencyKey), entry.Sidecar, digest.Of(entry.Sidecar), objstore.Options{})
		b.must(err)
	}
	kv, err := b.js.KeyValue(b.t.Context(), queue.Digests)
	b.must(err)
	value, err := entry.Encode()
	b.must(err)
	_, err = kv.Put(b.t.Context(), event.HashKey(e.Data.IdempotencyKey), value)
	b.must(err)
}

// settled stores n recordings in both tiers, all acknowledged.
func (b *bed) settled(n int) (out []event.Event) {
	b.t.Helper()
	for i := range n {
		e := b.accept(fmt.Sprintf("rec-%04d", i))
		b.store(e, tier.Primary, tier.Backup)
		out = append(out, e)
	}
	b.finish()
	return out
}

// handOut has the consumers hand everything out, and acknowledges nothing.
func (b *bed) handOut() {
	b.t.Helper()
	for _, t := range tier.All() {
		c, err := b.js.Consumer(b.t.Context(), queue.Recordings, queue.ConsumerName(t, queue.Live))
		b.must(err)
		batch, err := c.FetchNoWait(1000)
		b.must(err)
		for range batch.Messages() {
			continue
		}
	}
}

// stored audits a delivery as the workers do before they acknowledge it.
func (b *bed) stored(t tier.Tier, m jetstream.Msg) {
	b.t.Helper()
	meta, err := m.Metadata()
	b.must(err)
	b.must(b.publisher.Audit(b.t.Context(), event.Audit{
		Kind: event.AuditStored, Tier: t.String(), Time: time.Now(),
		MsgID: event.DeliveryID(event.AuditStored, t.String(), queue.Recordings, meta.Sequence.Stream),
	}))
}

// settledExcept is settled, while one recording stays in hand.
func (b *bed) settledExcept(id string, n int) {
	b.t.Helper()
	for i := range n {
		b.store(b.accept(fmt.Sprintf("rec-%04d", i)), tier.Primary, tier.Backup)
	}
	b.finishExcept(id)
}

// lose takes everything of a recording in a tier.
func (b *bed) lose(t tier.Tier, e event.Event) {
	b.stores[t].Lose(e.Data.ObjectKey)
	b.stores[t].Lose(event.SidecarKey(e.Data.IdempotencyKey))
}

// run makes a run.
func (b *bed) run(o Options) Result {
	b.t.Helper()
	r, err := b.runner().Run(b.t.Context(), o)
	b.must(err)
	b.t.Cleanup(func() { _ = r.Plan.Close() })
	return r
}

// found lists what a run found, "kind tier key action".
func (b *bed) found(r Result) (out []string) {
	b.t.Helper()
	for f, err := range r.Plan.Findings() {
		b.must(err)
		out = append(out, fmt.Sprintf("%s %s %s %s", f.Kind, f.Tier, f.ObjectKey, f.Action))
	}
	return out
}

// redrives returns what was sent again to a tier.
func (b *bed) redrives(t tier.Tier) (out []event.Event) {
	b.t.Helper()
	b.must(scan.Stream(b.t.Context(), b.js, queue.Recordings, scan.Range{Subjects: []string{queue.RedriveSubject(t)}}, func(m scan.Message) error {
		e, err := event.Parse(m.Body)
		out = append(out, e)
		return err
	}))
	return out
}

// entries counts the digest entries that stand.
func (b *bed) entries() int {
	b.t.Helper()
	n := 0
	b.must(scan.Stream(b.t.Context(), b.js, queue.BucketStream(queue.Digests), scan.Range{}, func(m scan.Message) error {
		if m.Header.Get("KV-Operation") == "" {
			n++
		}
		return nil
	}))
	return n
}

// audited counts the audit events of a kind and tier.
func (b *bed) audited(kind event.AuditKind, t string) (n int) {
	b.t.Helper()
	b.must(scan.Stream(b.t.Context(), b.js, queue.Audit, scan.Range{Subjects: []string{queue.AuditSubject(string(kind), t)}}, func(scan.Message) error {
		n++
		return nil
	}))
	return n
}
