package worker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/ledger/memledger"
	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/tier/breaker"
	"github.com/twinreel/twinreel/pkg/transfer"
)

// bed is one worker over a real JetStream and stores, ledger and source in memory.
type bed struct {
	*Worker
	t      *testing.T
	nc     *nats.Conn
	js     jetstream.JetStream
	store  *memstore.Store
	ledger *memledger.Ledger
	source *source
	clock  *clock

	registry *prometheus.Registry
}

// clock stands still unless it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newBed(t *testing.T, account string, change ...func(*Config)) *bed {
	t.Helper()
	nc, js := testenv.Account(t, account)
	sizes := queue.Sizes{Recordings: 16 << 20, Letters: 4 << 20, Audit: 4 << 20, MaxAge: time.Hour}
	if _, err := queue.Provision(t.Context(), js, sizes, 1); err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(t.Context(), queue.Digests)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now: time.Now()}
	b := &bed{t: t, nc: nc, js: js, registry: prometheus.NewRegistry(), store: memstore.New("bucket"), ledger: memledger.New(c.Now), source: &source{body: []byte("RIFF....WAVEdata")}, clock: c}
	buffers := transfer.NewBuffers(64<<20, 8<<20)
	m := newMetrics(b.registry, tier.Primary, buffers)
	publisher := queue.NewPublisher(nc, js)
	gate := &auditGate{to: publisher, gauge: m.refusing}
	config := Config{
		Retry: queue.Schedule{Base: time.Second, Cap: time.Minute}, Work: Work{Concurrency: 4, MaxAttempts: 4},
		Breaker: breaker.Config{Failures: 1000, Open: time.Microsecond}, Health: Health{DegradedAfter: 3, ProbeInterval: 10 * time.Second},
	}
	for _, f := range change {
		f(&config)
	}
	k := newKeeper(config, tier.Primary, "instance-1", b.store, gate, c.Now, zap.NewNop())
	b.Worker = &Worker{
		config: config, publisher: publisher, gate: gate, keeper: k, hosts: newHosts(), metrics: m, logger: zap.NewNop(),
		copier: &transfer.Copier{
			Tier: tier.Primary, Source: b.source, Store: k.store, Ledger: b.ledger, Agreement: digest.NewKV(kv, 5*time.Second), Audit: gate,
			Buffers: buffers, Read: func(int) {}, Now: c.Now, Log: zap.NewNop(),
		},
	}
	return b
}

// delivery is the count-th delivery of a recording's event as message seq.
func (b *bed) delivery(seq uint64, count int, change ...func(*event.Data)) queue.Delivery {
	b.t.Helper()
	d := event.Data{
		RecordingID: "rec-1", Source: event.DefaultSource, Media: event.Media{URL: "https://cdn.example.com/m?sig=s3cret", Format: "wav"},
		Participants: []event.Participant{{"id": "p1", "name": "Ada Lovelace"}},
	}
	for _, f := range change {
		f(&d)
	}
	body, err := event.New(d, "ev", b.clock.Now()).Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	return queue.Delivery{Lane: queue.Live, Stream: queue.Recordings, Subject: "recordings.completed.both", Sequence: seq, Count: count, Stored: b.clock.Now(), Body: body}
}

// fails delivers and expects to be handed back; it returns for how long.
func (b *bed) fails(d queue.Delivery) time.Duration {
	b.t.Helper()
	var later *queue.Later
	if err := b.Handle(b.t.Context(), d); !errors.As(err, &later) {
		b.t.Fatalf("delivery %d: %v, want to be handed back", d.Count, err)
	}
	return later.After
}

// ends delivers and expects to be acknowledged.
func (b *bed) ends(d queue.Delivery) {
	b.t.Helper()
	if err := b.Handle(b.t.Context(), d); err != nil {
		b.t.Fatalf("delivery %d: %v, want it acknowledged", d.Count, err)
	}
}

// letters returns the dead letters.
func (b *bed) letters() []queue.Letter {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), queue.DeadLetters)
	if err != nil {
		b.t.Fatal(err)
	}
	var out []queue.Letter
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		msg, err := s.GetMsg(b.t.Context(), seq)
		if err != nil {
			b.t.Fatal(err)
		}
		l, err := queue.ParseLetter(msg.Subject, msg.Sequence, msg.Header, msg.Data)
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, l)
	}
	return out
}

// dead expects exactly one dead letter, of that reason.
func (b *bed) dead(want queue.Reason) queue.Letter {
	b.t.Helper()
	got := b.letters()
	if len(got) != 1 || got[0].Reason != want {
		b.t.Fatalf("letters %+v, want one for %s", got, want)
	}
	l := got[0]
	if strings.Contains(l.Error, "s3cret") || strings.Contains(l.Error, "Ada") {
		b.t.Errorf("the letter's error leaks: %s", l.Error)
	}
	return l
}

func (b *bed) alive() {
	b.t.Helper()
	if got := b.letters(); len(got) != 0 {
		b.t.Fatalf("given up: %+v", got)
	}
}

// source serves one body, or fails.
type source struct {
	mu    sync.Mutex
	body  []byte
	fail  error
	panic bool
	opens int
}

func (s *source) opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opens
}

func (s *source) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *source) Open(context.Context, mediasource.Request) (*mediasource.Media, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opens++
	if s.panic {
		panic("a defect")
	}
	if s.fail != nil {
		return nil, s.fail
	}
	return mediasource.NewMedia(io.NopCloser(bytes.NewReader(s.body)), int64(len(s.body)), 1<<30), nil
}
