package rebuild

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

// account is this package's JetStream world.
const account = "test30"

// bed is a provisioned JetStream, real Redis under a prefix of its own, and two stores in memory.
type bed struct {
	*Rebuilder
	t         *testing.T
	redis     *redisledger.Ledger
	config    redisledger.Config
	publisher *queue.Publisher
	stores    map[tier.Tier]*memstore.Store
}

func newBed(t *testing.T) *bed {
	t.Helper()
	nc, js := testenv.Account(t, account)
	if _, err := queue.Provision(t.Context(), js, queue.Sizes{Recordings: 16 << 20, Letters: 16 << 20, Audit: 16 << 20, MaxAge: time.Hour}, 1); err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, publisher: queue.NewPublisher(nc, js), stores: map[tier.Tier]*memstore.Store{}}
	readers := map[tier.Tier]objstore.Reader{}
	for _, t := range tier.All() {
		b.stores[t] = memstore.New("bucket-" + t.String())
		readers[t] = b.stores[t]
	}
	b.config = redisledger.Config{URL: testenv.Need(t, testenv.RedisURL), TTL: time.Hour}
	b.Rebuilder = &Rebuilder{JS: js, Stores: readers, Forgotten: map[string]struct{}{}, Since: time.Now().Add(-time.Hour), Step: func(Result) {}}
	b.flush()
	return b
}

// flush is Redis that lost all it had.
func (b *bed) flush() {
	b.t.Helper()
	b.config.Prefix = "t" + rand.Text()
	l, err := redisledger.Open(b.config)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = l.Close() })
	b.redis, b.Ledger = l, l
}

// run rebuilds, each time from the beginning.
func (b *bed) run() Result {
	b.t.Helper()
	b.result = Result{}
	r, err := b.Run(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func completed(id string) event.Event {
	return event.New(event.Data{RecordingID: id, Source: event.DefaultSource, Media: event.Media{URL: "https://cdn.example.com/a", Format: "wav"}}, "e-1", time.Now())
}

func (b *bed) accept(id string) event.Event {
	b.t.Helper()
	e := completed(id)
	if _, err := b.publisher.Completed(b.t.Context(), queue.Both, e, ""); err != nil {
		b.t.Fatal(err)
	}
	return e
}

// copied does what a worker does once it has a copy: object, sidecar, audit event, record.
func (b *bed) copied(e event.Event, t tier.Tier, kind event.AuditKind, version string) {
	b.t.Helper()
	b.copiedAs(e, t, kind, version, rand.Text())
}

// copiedAs is copied, with the audit event's message ID.
func (b *bed) copiedAs(e event.Event, t tier.Tier, kind event.AuditKind, version, id string) {
	b.t.Helper()
	entry, err := event.NewEntry(e, digest.Of([]byte("RIFF "+e.Data.RecordingID)))
	if err != nil {
		b.t.Fatal(err)
	}
	b.stores[t].Plant(entry.ObjectKey, memstore.Object{Body: []byte("RIFF " + e.Data.RecordingID)})
	b.stores[t].Plant(event.SidecarKey(e.Data.IdempotencyKey), memstore.Object{Body: entry.Sidecar})
	at := time.Now().UTC()
	err = b.publisher.Audit(b.t.Context(), event.Audit{
		Kind: kind, Tier: t.String(), Time: at, MsgID: id,
		Data: event.AuditData{
			Tier: t.String(), IdempotencyKey: e.Data.IdempotencyKey, ObjectKey: entry.ObjectKey, Bucket: "bucket-" + t.String(), ETag: "etag", VersionID: version,
			SHA256: entry.SHA256, CRC64NVME: digest.EncodeCRC64(entry.CRC64), Size: &entry.Size,
		},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if kind != event.AuditStored {
		at = b.modified(t, entry.ObjectKey)
	}
	b.finished(e, t, entry, ledger.Stored{Bucket: "bucket-" + t.String(), Key: entry.ObjectKey, ETag: "etag", VersionID: version, Timestamp: at})
}

// modified is when a store has an object from.
func (b *bed) modified(t tier.Tier, key string) time.Time {
	b.t.Helper()
	info, err := b.stores[t].Stat(b.t.Context(), key)
	if err != nil {
		b.t.Fatal(err)
	}
	return info.Modified.UTC()
}

func (b *bed) finished(e event.Event, t tier.Tier, entry digest.Entry, side ledger.Stored) {
	b.t.Helper()
	_, err := b.redis.Finished(b.t.Context(), e.Data.IdempotencyKey, t, ledger.Copy{
		RecordingID: e.Data.RecordingID, ReceivedAt: e.Data.ReceivedAt, SHA256: entry.SHA256, Size: entry.Size, Stored: side,
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// bury gives an event up as a worker does.
func (b *bed) bury(e event.Event, t tier.Tier, n uint64) {
	b.t.Helper()
	body, err := e.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	err = errors.Join(b.publisher.Letter(b.t.Context(), queue.Letter{
		Tier: t, Body: body, Reason: queue.SourceGone, OriginSubject: "recordings.completed.both", OriginStream: queue.Recordings, OriginSeq: n, DeadAt: time.Now(),
	}), b.redis.Letter(b.t.Context(), e.Data.IdempotencyKey, t, string(queue.SourceGone)))
	if err != nil {
		b.t.Fatal(err)
	}
}

// records are what Redis has of the recordings, as JSON with what the API does not show.
func (b *bed) records(ids []string) map[string]string {
	b.t.Helper()
	out := map[string]string{}
	for _, id := range ids {
		r, err := b.redis.Record(b.t.Context(), id)
		if errors.Is(err, ledger.ErrNoRecord) {
			out[id] = "none"
			continue
		}
		if err != nil {
			b.t.Fatal(err)
		}
		body, err := json.Marshal(r)
		if err != nil {
			b.t.Fatal(err)
		}
		out[id] = fmt.Sprint(string(body), r.ReceivedAt.UnixNano(), r.Letters)
	}
	return out
}

func TestAfterAFlushTheRecordsAreTheSame(t *testing.T) {
	b := newBed(t)
	var ids []string
	for i := range 200 {
		id := fmt.Sprintf("rec-%d", i)
		ids = append(ids, id)
		e := b.accept(id)
		switch i % 8 {
		case 0: // both
			b.copied(e, tier.Primary, event.AuditStored, "v1")
			b.copied(e, tier.Backup, event.AuditStored, "")
		case 1: // one
			b.copied(e, tier.Backup, event.AuditStored, "")
		case 2: // pending
		case 3: // delivered twice
			b.copied(e, tier.Primary, event.AuditStored, "v1")
			b.copied(e, tier.Primary, event.AuditAlreadyPresent, "v1")
		case 4: // given up
			b.bury(e, tier.Primary, uint64(i+1))
		case 5: // given up, and a copy elsewhere
			b.bury(e, tier.Primary, uint64(i+1))
			b.copied(e, tier.Backup, event.AuditStored, "")
		case 6: // given up, then replayed with success, while the letter is not yet resolved
			b.bury(e, tier.Primary, uint64(i+1))
			b.copied(e, tier.Primary, event.AuditStored, "v1")
		case 7: // stored, then a contradicting event
			b.copied(e, tier.Primary, event.AuditAcceptedUnverified, "v1")
			b.bury(e, tier.Primary, uint64(i+1))
		}
	}
	before := b.records(ids)
	b.flush()
	r := b.run()
	for id, now := range b.records(ids) {
		if now != before[id] {
			t.Errorf("%s\nis  %s\nwas %s", id, now, before[id])
		}
	}
	if r.Events != 200 || r.Missing != 0 || r.Copies == 0 || r.Letters == 0 || r.Written == 0 {
		t.Errorf("got %+v", r)
	}
	if c, err := b.redis.Claim(t.Context(), "rec-0", tier.Primary); err != nil || c.State != ledger.Done {
		t.Errorf("the claim of what is stored: %v, %v", c.State, err)
	}
	b.run()
	for id, now := range b.records(ids) {
		if now != before[id] {
			t.Errorf("again: %s\nis  %s\nwas %s", id, now, before[id])
		}
	}
}

// given two webhooks of a recording, of which the later was done first, when Redis is filled, then its time stands.
func TestTheTimeOfAcceptanceIsThatOfTheEventThatWasDoneFirst(t *testing.T) {
	b := newBed(t)
	for n := range 2 {
		e := event.New(completed("rec-1").Data, fmt.Sprint(n), time.Now().Add(time.Duration(n)*time.Second))
		if _, err := b.publisher.Completed(t.Context(), queue.Both, e, ""); err != nil {
			t.Fatal(err)
		}
	}
	late := event.New(completed("rec-1").Data, "1", time.Now())
	m, err := b.JS.Stream(t.Context(), queue.Recordings)
	if err != nil {
		t.Fatal(err)
	}
	second, err := m.GetMsg(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	late.Data.ReceivedAt = receivedIn(second.Data)
	b.copiedAs(late, tier.Primary, event.AuditStored, "v1", "stored/primary/RECORDINGS/2")
	before := b.records([]string{"rec-1"})
	b.flush()
	b.run()
	if now := b.records([]string{"rec-1"}); now["rec-1"] != before["rec-1"] {
		t.Errorf("is  %s\nwas %s", now, before)
	}
}

func TestWhatTheLogDoesNotTellTheStoresTell(t *testing.T) {
	b := newBed(t)
	e := b.accept("rec-1")
	entry, err := event.NewEntry(e, digest.Of([]byte("RIFF")))
	if err != nil {
		t.Fatal(err)
	}
	b.stores[tier.Backup].Plant(entry.ObjectKey, memstore.Object{Body: []byte("RIFF")})
	b.stores[tier.Backup].Plant(event.SidecarKey("rec-1"), memstore.Object{Body: entry.Sidecar})
	b.stores[tier.Primary].Plant(entry.ObjectKey, memstore.Object{Body: []byte("RIFX")})
	b.stores[tier.Primary].Plant(event.SidecarKey("rec-1"), memstore.Object{Body: []byte("?")})
	b.run()
	r, err := b.redis.Record(t.Context(), "rec-1")
	if err != nil || r.Primary != nil || r.Backup == nil || !r.Backup.Timestamp.Equal(b.modified(tier.Backup, entry.ObjectKey)) || r.Size != 4 || !r.ReceivedAt.Equal(e.Data.ReceivedAt) {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestWhatTheStoreDoesNotHaveIsNotWritten(t *testing.T) {
	b := newBed(t)
	for id, change := range map[string]func(key string){
		"gone":  func(key string) { b.stores[tier.Primary].Lose(key) },
		"other": func(key string) { b.stores[tier.Primary].Plant(key, memstore.Object{Body: []byte("RIFF XXXXX")}) },
	} {
		e := b.accept(id)
		b.copied(e, tier.Primary, event.AuditStored, "v1")
		change(e.Data.ObjectKey)
	}
	b.flush()
	if r := b.run(); r.Missing != 2 || r.Written != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestTheForgottenAndTheOldAreLeftOut(t *testing.T) {
	b := newBed(t)
	b.copied(b.accept("rec-1"), tier.Primary, event.AuditStored, "v1")
	b.bury(b.accept("rec-1"), tier.Backup, 1)
	b.flush()
	b.Forgotten[event.HashKey("rec-1")] = struct{}{}
	if r := b.run(); r.Forgotten != 3 || r.Written != 0 {
		t.Errorf("got %+v", r)
	}
	delete(b.Forgotten, event.HashKey("rec-1"))
	b.Since = time.Now()
	if r := b.run(); r.Copies != 0 || r.Events != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestADryRunWritesNothingAndTellsTheSame(t *testing.T) {
	b := newBed(t)
	b.copied(b.accept("rec-1"), tier.Primary, event.AuditStored, "v1")
	b.flush()
	b.Ledger = nil
	if r := b.run(); r.Copies == 0 || r.Written != 0 || r.Events != 1 {
		t.Errorf("got %+v", r)
	}
	if _, err := b.redis.Record(t.Context(), "rec-1"); !errors.Is(err, ledger.ErrNoRecord) {
		t.Errorf("got %v", err)
	}
}

func TestAWorkerAtWorkHasTheLastWord(t *testing.T) {
	b := newBed(t)
	e := b.accept("rec-1")
	b.copied(e, tier.Primary, event.AuditStored, "v1")
	entry, err := event.NewEntry(e, digest.Of([]byte("RIFF rec-1")))
	if err != nil {
		t.Fatal(err)
	}
	b.flush()
	newer := ledger.Stored{Bucket: "bucket-primary", Key: entry.ObjectKey, ETag: "newer", Timestamp: time.Now().UTC()}
	b.stores[tier.Primary].Before(memstore.Stat, func(_ context.Context, c memstore.Call) error {
		if c.N == 1 { // the rebuild has read of the older one, and is about to write it
			b.finished(e, tier.Primary, entry, newer)
		}
		return nil
	})
	b.run()
	if r, err := b.redis.Record(t.Context(), "rec-1"); err != nil || r.Primary.ETag != "newer" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestAStoreThatIsAwayEndsItAndMayBeAskedAgain(t *testing.T) {
	b := newBed(t)
	e := b.accept("rec-1")
	b.copied(e, tier.Primary, event.AuditStored, "v1")
	b.flush()
	away := fault.New(fault.Unavailable, fault.Store, "stat", errors.New("away"))
	b.stores[tier.Primary].Before(memstore.Stat, memstore.Nth(1, away))
	if r := b.run(); r.Copies == 0 { // one that does not answer once is asked again
		t.Errorf("got %+v", r)
	}
	denied := fault.New(fault.Denied, fault.Store, "stat", errors.New("no"))
	b.stores[tier.Primary].Before(memstore.Stat, memstore.Always(denied))
	if _, err := b.Run(t.Context()); !errors.Is(err, denied) {
		t.Errorf("got %v", err)
	}
	if err := b.JS.DeleteStream(t.Context(), queue.Audit); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Run(t.Context()); !errors.Is(err, queue.ErrNotProvisioned) {
		t.Errorf("got %v", err)
	}
}
