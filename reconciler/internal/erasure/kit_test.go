package erasure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

// account is this package's JetStream world.
const account = "test32"

// errBroken is the failure that tests put in.
var errBroken = errors.New("broken on purpose")

// bed is a provisioned JetStream, two stores in memory and who has recordings forgotten.
type bed struct {
	*Eraser
	t      *testing.T
	stores map[tier.Tier]*memstore.Store
	queue  *queue.Publisher
	ledger *ledgers
	log    *auditLog
}

func newBed(t *testing.T) *bed {
	t.Helper()
	nc, js := testenv.Account(t, account)
	if _, err := Open(t.Context(), js); !errors.Is(err, queue.ErrNotProvisioned) {
		t.Fatalf("without buckets: %v", err)
	}
	if _, err := queue.Provision(t.Context(), js, queue.Sizes{Recordings: 16 << 20, Letters: 16 << 20, Audit: 16 << 20, MaxAge: time.Hour}, 1); err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, stores: map[tier.Tier]*memstore.Store{}, queue: queue.NewPublisher(nc, js), ledger: &ledgers{}}
	b.log = &auditLog{publisher: b.queue}
	readers := map[tier.Tier]objstore.Reader{}
	for _, t := range tier.All() {
		b.stores[t] = memstore.New("bucket-" + t.String())
		readers[t] = b.stores[t]
	}
	stones, err := Open(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	b.Eraser = &Eraser{JS: js, Stones: stones, Audit: b.log, Ledger: b.ledger, Stores: readers, By: "ada@desk", Now: time.Now}
	return b
}

// ledgers notes what is forgotten.
type ledgers struct {
	fail      error
	forgotten []string
}

func (l *ledgers) Forget(_ context.Context, id string) error {
	if l.fail == nil {
		l.forgotten = append(l.forgotten, id)
	}
	return l.fail
}

// auditLog publishes, until it fails.
type auditLog struct {
	publisher *queue.Publisher
	fail      error
}

func (a *auditLog) Audit(ctx context.Context, e event.Audit) error {
	if a.fail != nil {
		return a.fail
	}
	return a.publisher.Audit(ctx, e)
}

// completed is an event of the recording.
func completed(id string) event.Event {
	return event.New(event.Data{
		RecordingID: id, Source: event.DefaultSource, Media: event.Media{URL: "https://cdn.example.com/a?signature=s3cret", Format: "wav"},
		Participants: []event.Participant{{"name": "Ada Lovelace"}},
	}, "e-1", time.Unix(1000, 0))
}

// agree creates the digest entry that workers make.
func (b *bed) agree(id string) digest.Entry {
	b.t.Helper()
	e, err := event.NewEntry(completed(id), digest.Of([]byte("RIFF")))
	if err != nil {
		b.t.Fatal(err)
	}
	v, err := e.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.Stones.digests.Create(b.t.Context(), event.HashKey(id), v); err != nil {
		b.t.Fatal(err)
	}
	return e
}

// bury publishes a dead letter.
func (b *bed) bury(id string, n uint64) {
	b.t.Helper()
	body, err := completed(id).Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	err = b.queue.Letter(b.t.Context(), queue.Letter{
		Tier: tier.Primary, Body: body, Reason: queue.SourceGone, OriginSubject: "recordings.completed.both", OriginStream: queue.Recordings, OriginSeq: n, DeadAt: time.Now(),
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) forget(id string) Report {
	b.t.Helper()
	r, err := b.Forget(b.t.Context(), Request{Key: id, Case: "case-7", Reason: "asked by letter"})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// gone checks that the recording is forgotten wherever that is said.
func (b *bed) gone(id string) {
	b.t.Helper()
	for _, bucket := range []jetstream.KeyValue{b.Stones.tombs, b.Stones.digests} {
		got, err := bucket.Get(b.t.Context(), event.HashKey(id))
		if err != nil {
			b.t.Fatalf("%s: %v", bucket.Bucket(), err)
		}
		if bucket == b.Stones.digests && string(got.Value()) != `{"forgotten":true}` {
			b.t.Errorf("the digest entry is %s", got.Value())
		}
	}
	if known, err := b.Stones.Known(b.t.Context(), id); err != nil || !known {
		b.t.Errorf("known: %v, %v", known, err)
	}
}

// audited returns the data of a kind's audit events.
func (b *bed) audited(kind event.AuditKind) (out []event.AuditData) {
	b.t.Helper()
	s, err := b.JS.Stream(b.t.Context(), queue.Audit)
	if err != nil {
		b.t.Fatal(err)
	}
	for seq := uint64(1); ; {
		m, err := s.GetMsg(b.t.Context(), seq, jetstream.WithGetMsgSubject(fmt.Sprintf("audit.%s.*", kind)))
		if err != nil {
			return out
		}
		var a struct{ Data event.AuditData }
		if err := json.Unmarshal(m.Data, &a); err != nil {
			b.t.Fatal(err)
		}
		out, seq = append(out, a.Data), m.Sequence+1
	}
}

func (b *bed) letters() uint64 {
	b.t.Helper()
	s, err := b.JS.Stream(b.t.Context(), queue.DeadLetters)
	if err != nil {
		b.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}
