package dlq

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/ledger/memledger"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

// account is this package's JetStream world.
const account = "test24"

// patience is how long a test waits for what should happen soon.
const patience = 20 * time.Second

// media are the bytes of the tests' recording.
const media = "RIFF the agreed bytes"

// key names the tests' recording.
const key = "rec-1"

// bed is a provisioned JetStream, two stores in memory, and what follows the dead letters.
type bed struct {
	*Follower
	t      *testing.T
	stores map[tier.Tier]*memstore.Store
	ledger *memledger.Ledger
}

func newBed(t *testing.T) *bed {
	t.Helper()
	nc, js := testenv.Account(t, account)
	sizes := queue.Sizes{Recordings: 16 << 20, Letters: 16 << 20, Audit: 16 << 20, MaxAge: time.Hour}
	if _, err := queue.Provision(t.Context(), js, sizes, 1); err != nil {
		t.Fatal(err)
	}
	digests, err := js.KeyValue(t.Context(), queue.Digests)
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, stores: map[tier.Tier]*memstore.Store{}, ledger: memledger.New(time.Now)}
	readers := map[tier.Tier]objstore.Reader{}
	for _, t := range tier.All() {
		b.stores[t] = memstore.New("bucket-" + t.String())
		b.stores[t].ServeAt("http://" + t.String() + ".example.com")
		readers[t] = b.stores[t]
	}
	quick := queue.Schedule{Base: 5 * time.Millisecond, Cap: 50 * time.Millisecond}
	b.Follower = &Follower{
		JS: js, Publisher: queue.NewPublisher(nc, js), Digests: digests, Stores: readers, Ledger: b.ledger, Look: quick, Redrive: quick,
		Rate: rate.NewLimiter(rate.Inf, 1), Now: time.Now, Log: zap.NewNop(),
	}
	return b
}

// twin is another instance that does the same at the same time.
func (b *bed) twin() *Follower {
	f := b.Follower
	return &Follower{
		JS: f.JS, Publisher: f.Publisher, Digests: f.Digests, Stores: f.Stores, Ledger: f.Ledger, Look: f.Look, Redrive: f.Redrive,
		Rate: f.Rate, Now: f.Now, Log: f.Log,
	}
}

// follow runs a follower until the test ends; stop ends it before.
func follow(t *testing.T, f *Follower) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); f.Run(ctx) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return stop
}

func (b *bed) until(what string, met func() bool) {
	b.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-deadline:
			b.t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

// looked waits until the case has been looked at so many times more.
func (b *bed) looked(t tier.Tier, times int) {
	b.t.Helper()
	looks := func() int {
		b.mu.Lock()
		defer b.mu.Unlock()
		if c := b.cases[name{tier: t, key: key}]; c != nil {
			return c.looks
		}
		return -1
	}
	b.until("the letter is filed", func() bool { return looks() >= 0 })
	from := looks()
	b.until("it was looked at", func() bool { n := looks(); return n < 0 || n >= from+times })
}

// completed returns an event of the recording; change may contradict it.
func completed(change func(*event.Data)) event.Event {
	d := event.Data{RecordingID: key, Source: event.DefaultSource, Media: event.Media{URL: "https://cdn.example.com/a?signature=s3cret", Format: "wav"}}
	if change != nil {
		change(&d)
	}
	return event.New(d, "e-1", time.Unix(1000, 0))
}

// agreed is the entry that the completed event makes of the media.
func agreed(t *testing.T) digest.Entry {
	t.Helper()
	e, err := event.NewEntry(completed(nil), digest.Of([]byte(media)))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// agree creates the digest entry.
func (b *bed) agree() {
	b.t.Helper()
	v, err := agreed(b.t).Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.Digests.Create(b.t.Context(), event.HashKey(key), v); err != nil {
		b.t.Fatal(err)
	}
}

// store puts the recording into a tier as a worker does.
func (b *bed) store(t tier.Tier) {
	e := agreed(b.t)
	b.stores[t].Plant(e.ObjectKey, memstore.Object{Body: []byte(media)})
	b.stores[t].Plant(event.SidecarKey(key), memstore.Object{Body: e.Sidecar})
}

// give publishes a dead letter as a worker does, of the n-th event of RECORDINGS.
func (b *bed) give(t tier.Tier, reason queue.Reason, n uint64, subject string, body []byte) {
	b.t.Helper()
	err := b.Publisher.Letter(b.t.Context(), queue.Letter{
		Tier: t, Body: body, Reason: reason, Error: "source: open: answered 404", Attempts: 3, OriginSubject: subject,
		OriginStream: queue.Recordings, OriginSeq: n, DeadAt: time.Now(), Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// bury publishes a dead letter of an event.
func (b *bed) bury(t tier.Tier, reason queue.Reason, e event.Event) {
	b.t.Helper()
	body, err := e.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	b.give(t, reason, 1000+b.last(queue.DeadLetters), queue.CompletedSubject(queue.Both), body)
}

func (b *bed) stream(name string) jetstream.Stream {
	b.t.Helper()
	s, err := b.JS.Stream(b.t.Context(), name)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bed) last(stream string) uint64 { return b.stream(stream).CachedInfo().State.LastSeq }

// letters returns how many there are.
func (b *bed) letters() uint64 { return b.stream(queue.DeadLetters).CachedInfo().State.Msgs }

// sentTo returns what was sent to a tier again.
func (b *bed) sentTo(t tier.Tier) (out []event.Event) {
	b.t.Helper()
	for _, m := range b.all(queue.Recordings, queue.RedriveSubject(t)) {
		e, err := event.Parse(m.Data)
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// audited returns the data of a kind's audit events.
func (b *bed) audited(kind event.AuditKind) (out []event.AuditData) {
	b.t.Helper()
	for _, m := range b.all(queue.Audit, queue.AuditSubject(string(kind), "*")) {
		var a struct{ Data event.AuditData }
		if err := json.Unmarshal(m.Data, &a); err != nil {
			b.t.Fatal(err)
		}
		out = append(out, a.Data)
	}
	return out
}

func (b *bed) all(stream, subject string) (out []*jetstream.RawStreamMsg) {
	b.t.Helper()
	s := b.stream(stream)
	for seq := uint64(1); ; {
		m, err := s.GetMsg(b.t.Context(), seq, jetstream.WithGetMsgSubject(subject))
		if err != nil {
			return out
		}
		out, seq = append(out, m), m.Sequence+1
	}
}

// finish is what a worker does with its n-th redrive: it says in the log how it ended.
func (b *bed) finish(t tier.Tier, kind event.AuditKind, reason string) {
	b.t.Helper()
	all := b.all(queue.Recordings, queue.RedriveSubject(t))
	seq := all[len(all)-1].Sequence
	err := b.Publisher.Audit(b.t.Context(), event.Audit{
		Kind: kind, Tier: t.String(), Time: time.Now(), MsgID: event.DeliveryID(kind, t.String(), queue.Recordings, seq),
		Data: event.AuditData{Tier: t.String(), IdempotencyKey: key, Reason: reason},
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// comesBack is a redrive that ends in a dead letter again.
func (b *bed) comesBack(t tier.Tier, reason queue.Reason) {
	b.t.Helper()
	all := b.all(queue.Recordings, queue.RedriveSubject(t))
	m := all[len(all)-1]
	b.give(t, reason, m.Sequence, m.Subject, m.Data)
	b.finish(t, event.AuditDead, string(reason))
}

func (b *bed) wantRedrives(t tier.Tier, n int) {
	b.t.Helper()
	if got := len(b.sentTo(t)); got != n {
		b.t.Errorf("%d redrives to %s, want %d", got, t, n)
	}
}

func errAway() error { return errors.New("no answer") }
