package seal

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/mod/sumdb/note"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/vault"
)

// account is this package's JetStream world.
const account = "test29"

// world is an AUDIT stream on the real server, and two stores in memory.
type world struct {
	*testing.T
	nc     *nats.Conn
	js     jetstream.JetStream
	stores map[tier.Tier]*memstore.Store
	keys   checkpoint.Keys
	log    *observer.ObservedLogs
	zap    *zap.Logger
	mu     sync.Mutex
	ahead  time.Duration // of the clock
	n      int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	nc, js := testenv.Account(t, account)
	return worldOn(t, nc, js)
}

// worldOn is a world on that JetStream.
func worldOn(t *testing.T, nc *nats.Conn, js jetstream.JetStream) *world {
	t.Helper()
	private, _, err := note.GenerateKey(rand.Reader, "audit.example.com")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := checkpoint.ParseKeys([]string{private})
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zapcore.InfoLevel)
	w := &world{
		T: t, nc: nc, js: js, keys: keys, log: logs, zap: zap.New(core),
		stores: map[tier.Tier]*memstore.Store{tier.Primary: memstore.New("p"), tier.Backup: memstore.New("b")},
	}
	w.stream(0)
	return w
}

// stream makes the AUDIT stream, anew if it is there.
func (w *world) stream(limit int64) epoch.ID {
	w.Helper()
	_ = w.js.DeleteStream(w.Context(), queue.Audit)
	s, err := w.js.CreateStream(w.Context(), jetstream.StreamConfig{
		Name: queue.Audit, Subjects: []string{"audit.*.*"}, AllowDirect: true, Duplicates: time.Minute, MaxBytes: limit, Discard: jetstream.DiscardNew,
	})
	if err != nil {
		w.Fatal(err)
	}
	return epoch.Of(s.CachedInfo().Created)
}

func (w *world) epoch() epoch.ID {
	s, err := w.js.Stream(w.Context(), queue.Audit)
	if err != nil {
		w.Fatal(err)
	}
	return epoch.Of(s.CachedInfo().Created)
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead)
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead += d
}

// sealer returns a leader of its own.
func (w *world) sealer() *Sealer {
	s := &Sealer{
		JS: w.js, Publisher: queue.NewPublisher(w.nc, w.js), Stores: map[tier.Tier]Store{}, TTL: time.Hour, Now: w.now, Log: w.zap,
		Keys: func() (checkpoint.Keys, error) { return w.keys, nil }, Pace: DefaultPace(),
	}
	for t, store := range w.stores {
		s.Stores[t] = Store{Reader: store, Vault: vault.New(store, store)}
	}
	return s
}

// stored publishes n audit events of recordings, by turns of both tiers.
func (w *world) stored(n int) {
	w.Helper()
	p := queue.NewPublisher(w.nc, w.js)
	for range n {
		w.n++
		t := tier.All()[w.n%2]
		key := fmt.Sprintf("rec-%d", w.n/2)
		size := int64(w.n)
		err := p.Audit(w.Context(), event.Audit{
			Kind: event.AuditStored, Tier: t.String(), Time: time.Now(), MsgID: event.DeliveryID(event.AuditStored, t.String(), queue.Recordings, uint64(w.n)),
			Data: event.AuditData{Tier: t.String(), IdempotencyKey: key, ObjectKey: event.ObjectKey(key, "wav"), Size: &size},
		})
		if err != nil {
			w.Fatal(err)
		}
	}
}

// many publishes n messages quickly.
func (w *world) many(n int) {
	w.Helper()
	for range n {
		w.n++
		body := fmt.Appendf(nil, `{"data":{"idempotencyKey":"rec-%d","objectKey":"recordings/rec-%d.wav"}}`, w.n/2, w.n/2)
		if _, err := w.js.PublishAsync("audit.stored."+tier.All()[w.n%2].String(), body); err != nil {
			w.Fatal(err)
		}
	}
	select {
	case <-w.js.PublishAsyncComplete():
	case <-time.After(30 * time.Second):
		w.Fatal("not published in time")
	}
}

// seals seals once with a leader, and wants no trouble.
func (w *world) seals(s *Sealer) {
	w.Helper()
	if err := s.Once(w.Context()); err != nil {
		w.Fatal(err)
	}
}

// objects returns what a store holds.
func (w *world) objects(t tier.Tier) map[string][]byte {
	w.Helper()
	out := map[string][]byte{}
	for info, err := range w.stores[t].List(w.Context(), "") {
		if err != nil {
			w.Fatal(err)
		}
		o, _ := w.stores[t].Object(info.Key)
		out[info.Key] = o.Body
	}
	return out
}

// same wants both stores to hold the same.
func (w *world) same() {
	w.Helper()
	p, b := w.objects(tier.Primary), w.objects(tier.Backup)
	for _, key := range slices.Sorted(maps.Keys(p)) {
		if !bytes.Equal(p[key], b[key]) {
			w.Errorf("%s differs:\n%.300q\n%.300q", key, p[key], b[key])
		}
	}
	if len(p) != len(b) || len(p) == 0 {
		w.Errorf("%d objects in primary, %d in backup", len(p), len(b))
	}
}

// size is how far a store is sealed, by its own last checkpoint.
func (w *world) size(t tier.Tier, e epoch.ID) int64 {
	w.Helper()
	note, serial, err := audit.Last(context.Background(), w.stores[t], e, 0)
	if err != nil {
		w.Fatal(err)
	}
	if serial == 0 {
		return 0
	}
	c, err := w.keys.Open(note)
	if err != nil {
		w.Fatal(err)
	}
	return c.Size
}

// alarms are the errors that were logged.
func (w *world) alarms() []string {
	var out []string
	for _, e := range w.log.FilterLevelExact(zapcore.ErrorLevel).All() {
		out = append(out, e.Message)
	}
	return out
}

// reader reads the log as others do.
func (w *world) reader() *audit.Log {
	l := &audit.Log{Keys: w.keys}
	l.Stores = readers(w.stores)
	return l
}
