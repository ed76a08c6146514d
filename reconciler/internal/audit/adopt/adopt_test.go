package adopt_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/audit/adopt"
	"github.com/twinreel/twinreel/reconciler/internal/audit/audittest"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/seal"
	"github.com/twinreel/twinreel/reconciler/internal/audit/vault"
)

// account is this package's JetStream world, and its peer's.
const account = "test28"

// region is one region's JetStream.
type region struct {
	*testing.T
	js        jetstream.JetStream
	publisher *queue.Publisher
}

func (r region) stored(keys ...string) {
	r.Helper()
	for _, key := range keys {
		err := r.publisher.Audit(r.Context(), event.Audit{
			Kind: event.AuditStored, Tier: "primary", Time: time.Now(), MsgID: "stored/primary/RECORDINGS/" + key,
			Data: event.AuditData{Tier: "primary", IdempotencyKey: key, ObjectKey: event.ObjectKey(key, "wav")},
		})
		if err != nil {
			r.Fatal(err)
		}
	}
}

// seal seals all that the region's stream holds.
func (r region) seal(stores map[tier.Tier]*memstore.Store, keys checkpoint.Keys) {
	r.Helper()
	s := &seal.Sealer{
		JS: r.js, Publisher: r.publisher, Stores: map[tier.Tier]seal.Store{}, TTL: time.Hour, Now: time.Now, Log: zap.NewNop(), Pace: seal.DefaultPace(),
		Keys: func() (checkpoint.Keys, error) { return keys, nil },
	}
	for t, store := range stores {
		s.Stores[t] = seal.Store{Reader: store, Vault: vault.New(store, store)}
	}
	if err := s.Once(r.Context()); err != nil {
		r.Fatal(err)
	}
}

func (r region) audited() (n uint64) {
	r.Helper()
	s, err := r.js.Stream(r.Context(), queue.Audit)
	if err != nil {
		r.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// given a region that is lost when a part of its log was sealed, when that is taken over, twice, then what was not sealed is in
// the other region's log, once; and when it returns and seals it after all, then whoever reads counts it once.
func TestWhatALostRegionHadNotSealedIsTakenOver(t *testing.T) {
	pnc, pjs := testenv.Peer(t, account)
	nc, js := testenv.Account(t, account)
	sizes := queue.Sizes{Recordings: 16 << 20, Letters: 4 << 20, Audit: 16 << 20, MaxAge: time.Hour}
	if _, err := queue.Provision(t.Context(), pjs, sizes, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := (queue.Topology{Sizes: sizes, Replicas: 1, Peer: queue.Peer{Domain: testenv.PeerDomain}}).Provision(t.Context(), js); err != nil {
		t.Fatal(err)
	}
	here, lost := region{t, js, queue.NewPublisher(nc, js)}, region{t, pjs, queue.NewPublisher(pnc, pjs)}
	stores := map[tier.Tier]*memstore.Store{tier.Primary: memstore.New("p"), tier.Backup: memstore.New("b")}
	keys, _ := audittest.Keys(t)
	for i := range 300 {
		lost.stored(fmt.Sprintf("old-%d", i))
	}
	lost.seal(stores, keys)
	here.stored("ours-1")
	here.seal(stores, keys)
	lost.stored("late-1", "late-2", "late-3")
	last := lost.audited()
	for deadline := time.Now().Add(60 * time.Second); ; <-time.After(20 * time.Millisecond) {
		s, err := js.Stream(t.Context(), queue.PeerAudit)
		if err != nil {
			t.Fatal(err)
		}
		if s.CachedInfo().State.LastSeq == last {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the log does not come over")
		}
	}

	log := &audit.Log{Keys: keys, Stores: map[tier.Tier]objstore.Reader{tier.Primary: stores[tier.Primary], tier.Backup: stores[tier.Backup]}}
	a := adopt.Adopter{JS: js, Publisher: here.publisher, Log: log, DryRun: true}
	before := here.audited()
	r, err := a.Run(t.Context())
	if err != nil || r.Sealed != 301 || r.Held != 304 || r.Adopted != 3 || here.audited() != before {
		t.Fatalf("dry: %+v, %v; %d messages here, %d before", r, err, here.audited(), before)
	}
	home, err := pjs.Stream(t.Context(), queue.Audit)
	if err != nil || r.Epoch != epoch.Of(home.CachedInfo().Created) {
		t.Errorf("it took %s for the lost region's, %v", r.Epoch, err)
	}
	a.DryRun = false
	for range 2 {
		if r, err = a.Run(t.Context()); err != nil || r.Adopted != 3 || here.audited() != before+3 {
			t.Fatalf("%+v, %v; %d messages here, %d before", r, err, here.audited(), before)
		}
	}
	here.seal(stores, keys)
	lost.seal(stores, keys)
	leaves, err := log.Find(t.Context(), "late-2")
	if err != nil || len(leaves) != 1 {
		t.Errorf("late-2 is told %d times, %v", len(leaves), err)
	}
}

// given a region that went on sealing while the line was cut, and was lost then, so that more of its log is sealed than has come
// over, then nothing is taken over: all that is here is sealed there.
func TestALogThatIsSealedBeyondTheMirrorIsNotTakenOver(t *testing.T) {
	pnc, pjs := testenv.Peer(t, account)
	nc, js := testenv.Account(t, account)
	sizes := queue.Sizes{Recordings: 16 << 20, Letters: 4 << 20, Audit: 16 << 20, MaxAge: time.Hour}
	if _, err := queue.Provision(t.Context(), pjs, sizes, 1); err != nil {
		t.Fatal(err)
	}
	lost, here := region{t, pjs, queue.NewPublisher(pnc, pjs)}, region{t, js, queue.NewPublisher(nc, js)}
	if _, err := queue.Provision(t.Context(), js, sizes, 1); err != nil {
		t.Fatal(err)
	}
	stores := map[tier.Tier]*memstore.Store{tier.Primary: memstore.New("p"), tier.Backup: memstore.New("b")}
	keys, _ := audittest.Keys(t)
	lost.stored("old-1", "old-2", "old-3")
	came := cutMirror(t, pjs, js, lost.audited())
	lost.stored("later-1", "later-2")
	lost.seal(stores, keys)

	log := &audit.Log{Keys: keys, Stores: map[tier.Tier]objstore.Reader{tier.Primary: stores[tier.Primary], tier.Backup: stores[tier.Backup]}}
	home, err := pjs.Stream(t.Context(), queue.Audit)
	if err != nil {
		t.Fatal(err)
	}
	r, err := (&adopt.Adopter{JS: js, Publisher: here.publisher, Log: log, DryRun: true}).Run(t.Context())
	if err != nil || r.Epoch != epoch.Of(home.CachedInfo().Created) || r.Held != came || r.Adopted != 0 {
		t.Errorf("%+v, %v; want nothing of the %d messages that came over", r, err, came)
	}
}

// cutMirror returns once AUDIT_PEER holds the peer's AUDIT up to last, and holds nothing that comes after.
func cutMirror(t *testing.T, pjs, js jetstream.JetStream, last uint64) uint64 {
	t.Helper()
	s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: queue.PeerAudit, AllowDirect: true, MaxMsgs: int64(last), Discard: jetstream.DiscardNew,
		Mirror: &jetstream.StreamSource{Name: queue.Audit, External: &jetstream.ExternalStream{APIPrefix: "$JS." + testenv.PeerDomain + ".API"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(60 * time.Second); ; <-time.After(20 * time.Millisecond) {
		info, err := s.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if info.State.LastSeq == last {
			return last
		}
		if time.Now().After(deadline) {
			t.Fatal("the log does not come over")
		}
	}
}

// given no mirror, then it says what is not set.
func TestWithoutAMirrorThereIsNothingToTakeOver(t *testing.T) {
	_, js := testenv.Account(t, account)
	if _, err := (&adopt.Adopter{JS: js}).Run(t.Context()); err == nil {
		t.Error("no error")
	}
}
