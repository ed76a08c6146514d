package repair

import (
	"context"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"
	"golang.org/x/time/rate"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/evidence"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
	"github.com/twinreel/twinreel/reconciler/internal/plan"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// account is this package's JetStream world.
const account = "test39"

// bed is a provisioned JetStream, two stores in memory, and a Repairer of them.
type bed struct {
	*Repairer
	t      *testing.T
	stores map[tier.Tier]*memstore.Store
	clock  time.Time
}

func newBed(t *testing.T) *bed {
	t.Helper()
	nc, js := testenv.Account(t, account)
	sizes := queue.Sizes{Recordings: 16 << 20, Letters: 16 << 20, Audit: 16 << 20, MaxAge: 30 * 24 * time.Hour}
	if _, err := queue.Provision(t.Context(), js, sizes, 1); err != nil {
		t.Fatal(err)
	}
	digests, err := js.KeyValue(t.Context(), queue.Digests)
	if err != nil {
		t.Fatal(err)
	}
	book, err := quarantine.Open(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, clock: time.Now(), stores: map[tier.Tier]*memstore.Store{tier.Primary: memstore.New("p"), tier.Backup: memstore.New("b")}}
	b.Repairer = &Repairer{
		JS: js, Publisher: queue.NewPublisher(nc, js), Book: book, Rate: rate.NewLimiter(rate.Inf, 1), By: "test", Log: zaptest.NewLogger(t),
		Source: evidence.Source{Digests: digests, Stores: map[tier.Tier]objstore.Reader{tier.Primary: b.stores[tier.Primary], tier.Backup: b.stores[tier.Backup]}},
		Erased: func(context.Context, string) (bool, error) { return false, nil },
		Now:    func() time.Time { return b.clock }, Progress: func(string, int64, int64) {},
	}
	return b
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func recording(id string) event.Event {
	return event.New(event.Data{RecordingID: id, Source: "default", Media: event.Media{URL: "https://cdn.example.com/a", Format: "wav"}}, "e1", time.Now())
}

// count counts the messages of a subject.
func (b *bed) count(stream, subject string) (n int) {
	b.t.Helper()
	b.must(scan.Stream(b.t.Context(), b.JS, stream, scan.Range{Subjects: []string{subject}}, func(scan.Message) error {
		n++
		return nil
	}))
	return n
}

// given something that was restored, when it is noted, then nobody has to look: its record is resolved at once; where more
// was noted of the recording, it stays open.
func TestWhatWasRestoredNeedsNobodysLook(t *testing.T) {
	b := newBed(t)
	restored := plan.Finding{Kind: plan.Restored, Tier: "primary", IdempotencyKey: "rec-1", ObjectKey: "recordings/rec-1.wav", Evidence: "2 versions"}
	versions := plan.Finding{Kind: plan.Versions, Tier: "primary", IdempotencyKey: "rec-2", ObjectKey: "recordings/rec-2.wav", Evidence: "2 versions", Action: plan.Quarantine}
	other := restored
	other.IdempotencyKey, other.ObjectKey = "rec-2", "metadata/rec-2.json"
	var out Result
	for _, f := range []plan.Finding{restored, versions, other, restored, versions} {
		b.must(b.note(t.Context(), f, &out))
	}
	if out.Noted != 3 || b.count(queue.Audit, "audit.quarantined.primary") != 3 {
		t.Errorf("%d noted, %d audited", out.Noted, b.count(queue.Audit, "audit.quarantined.primary"))
	}
	for id, open := range map[string]bool{"rec-1": false, "rec-2": true} {
		if r, err := b.Book.Get(t.Context(), id); err != nil || r.Open() != open {
			t.Errorf("%s: %+v, %v", id, r, err)
		}
	}
}

// given events that a tier has not finished, when they are within a week of leaving RECORDINGS, then each is sent again to
// the tiers that lack it, once; not what is stored, forgotten, finished or young.
func TestWhatWouldLeaveByAgeIsOwedAgain(t *testing.T) {
	b := newBed(t)
	for _, id := range []string{"rec-lacking", "rec-stored", "rec-forgotten"} {
		e := recording(id)
		if _, err := b.Publisher.Completed(t.Context(), queue.Both, e, ""); err != nil {
			t.Fatal(err)
		}
		if id == "rec-stored" {
			b.store(e, tier.Primary)
		}
	}
	_, err := b.Source.Digests.Put(t.Context(), event.HashKey("rec-forgotten"), []byte(`{"forgotten":true}`))
	b.must(err)
	renew := func(above uint64) (uint64, int64) {
		floors, err := inventory.ReadFloors(t.Context(), b.JS)
		b.must(err)
		through, sent, err := b.RenewEvents(t.Context(), above, floors)
		b.must(err)
		return through, sent
	}
	if through, sent := renew(0); through != 0 || sent != 0 {
		t.Fatalf("while they are young: %d sent, through %d", sent, through)
	}
	b.clock = b.clock.Add(24 * 24 * time.Hour)
	through, sent := renew(0)
	if through != 3 || sent != 3 || b.count(queue.Recordings, queue.RedriveSubject(tier.Primary)) != 1 || b.count(queue.Recordings, queue.RedriveSubject(tier.Backup)) != 2 {
		t.Errorf("%d sent, through %d", sent, through)
	}
	// A run that forgot how far it was sends none of them twice; by this clock what was sent is old as well, and owed once more.
	if _, again := renew(0); again != 6 || b.count(queue.Recordings, "recordings.redrive.*") != 6 {
		t.Errorf("%d in the stream", b.count(queue.Recordings, "recordings.redrive.*"))
	}
}

// store stores a recording in a tier.
func (b *bed) store(e event.Event, t tier.Tier) {
	b.t.Helper()
	body := []byte("RIFF")
	entry, err := event.NewEntry(e, digest.Of(body))
	b.must(err)
	_, err = b.stores[t].Put(b.t.Context(), entry.ObjectKey, body, entry.Digest, objstore.Options{})
	b.must(err)
	_, err = b.stores[t].Put(b.t.Context(), event.SidecarKey(e.Data.IdempotencyKey), entry.Sidecar, digest.Of(entry.Sidecar), objstore.Options{})
	b.must(err)
}

// given letters within a week of their age, when they are renewed, then each is there once, as it was, and young.
func TestALetterThatWouldLeaveIsPublishedAgainAsItIs(t *testing.T) {
	b := newBed(t)
	body, err := recording("rec-1").Encode()
	b.must(err)
	letter := queue.Letter{
		Tier: tier.Backup, Body: body, Reason: queue.SourceGone, Error: "404", Attempts: 3, OriginSubject: "recordings.completed.both",
		OriginStream: queue.Recordings, OriginSeq: 7, DeadAt: b.clock.UTC(), Traceparent: "00-1-2-01",
	}
	b.must(b.Publisher.Letter(t.Context(), letter))
	if n, err := b.RenewLetters(t.Context()); n != 0 || err != nil {
		t.Fatalf("while it is young: %d, %v", n, err)
	}
	b.clock = b.clock.Add(84 * 24 * time.Hour)
	if n, err := b.RenewLetters(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d renewed, %v", n, err)
	}
	stream, err := b.JS.Stream(t.Context(), queue.DeadLetters)
	b.must(err)
	if n := stream.CachedInfo().State.Msgs; n != 1 {
		t.Fatalf("%d letters", n)
	}
	m, err := stream.GetMsg(t.Context(), 2)
	b.must(err)
	got, err := queue.ParseLetter(m.Subject, m.Sequence, m.Header, m.Data)
	letter.Sequence = 2
	if err != nil || string(got.Body) != string(body) || got.Reason != letter.Reason || !got.DeadAt.Equal(letter.DeadAt) || got.OriginSeq != 7 || got.Traceparent != letter.Traceparent {
		t.Errorf("got %+v, %v", got, err)
	}
	if id := m.Header.Get(jetstream.MsgIDHeader); id == "backup/RECORDINGS/7" {
		t.Error("within the duplicate window it would have been dropped")
	}
}
