package quarantine

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// account is this package's JetStream world.
const account = "test31"

var (
	rec1  = About{IdempotencyKey: "rec-1", ObjectKey: "recordings/rec-1.wav"}
	other = Difference{Kind: "checksum_differs", Tier: "primary", ObjectKey: "recordings/rec-1.wav", Evidence: "crc64nvme AAA, agreed BBB"}
	two   = Difference{Kind: "versions", Tier: "backup", ObjectKey: "recordings/rec-1.wav", Evidence: "2 versions"}
)

func newBook(t *testing.T) *Book {
	t.Helper()
	_, js := testenv.Account(t, account)
	if _, err := Open(t.Context(), js); !errors.Is(err, queue.ErrNotProvisioned) {
		t.Fatalf("without a bucket: %v", err)
	}
	if _, err := queue.Provision(t.Context(), js, queue.Sizes{Recordings: 16 << 20, Letters: 16 << 20, Audit: 16 << 20, MaxAge: time.Hour}, 1); err != nil {
		t.Fatal(err)
	}
	b, err := Open(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *Book) mustNote(t *testing.T, want bool, about About, d ...Difference) {
	t.Helper()
	if fresh, err := b.Note(t.Context(), about, d...); err != nil || fresh != want {
		t.Fatalf("noted %v: fresh %v, want %v; %v", d, fresh, want, err)
	}
}

func (b *Book) mustGet(t *testing.T, name string) Record {
	t.Helper()
	r, err := b.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (b *Book) mustResolve(t *testing.T, name string) {
	t.Helper()
	if err := b.Resolve(t.Context(), b.mustGet(t, name), "ada@desk", "looked"); err != nil {
		t.Fatal(err)
	}
}

func TestADifferenceIsFreshOnceAndOpensAgainOnlyWithOtherEvidence(t *testing.T) {
	b := newBook(t)
	if _, err := b.Get(t.Context(), "rec-1"); !errors.Is(err, ErrNone) {
		t.Fatalf("before anything is noted: %v", err)
	}
	b.mustNote(t, true, rec1, other)
	b.mustNote(t, false, rec1, other)
	b.mustNote(t, true, rec1, other, two)
	r := b.mustGet(t, "rec-1")
	if !r.Open() || len(r.Differences) != 2 || r.IdempotencyKey != "rec-1" || r.ObjectKey != rec1.ObjectKey || r.Since.IsZero() {
		t.Fatalf("got %+v", r)
	}
	b.mustResolve(t, "rec-1")
	b.mustNote(t, false, rec1, two, other)
	if r = b.mustGet(t, "rec-1"); r.Open() || r.Resolved.By != "ada@desk" || r.Resolved.Reason != "looked" {
		t.Fatalf("the same again opened it: %+v", r)
	}
	changed := two
	changed.Evidence = "3 versions"
	b.mustNote(t, true, rec1, changed)
	if r = b.mustGet(t, "rec-1"); !r.Open() || len(r.Differences) != 2 || r.Differences[1].Evidence != "3 versions" {
		t.Fatalf("other evidence: %+v", r)
	}
}

// given a copy of other bytes, which the store's own checksum shows as well as its bytes read back do, when both are found
// again and again, then neither makes the other look new.
func TestWhatWasReadBackAndWhatTheStoreSaysAreTwoFindings(t *testing.T) {
	b := newBook(t)
	read := other
	read.Evidence, read.Read = "read twice: other bytes", true
	b.mustNote(t, true, rec1, other)
	b.mustNote(t, true, rec1, read)
	b.mustResolve(t, "rec-1")
	b.mustNote(t, false, rec1, other)
	b.mustNote(t, false, rec1, read)
	r := b.mustGet(t, "rec-1")
	if r.Open() || len(r.Differences) != 2 || r.Differences[0].Read || !r.Differences[1].Read {
		t.Errorf("got %+v", r)
	}
}

func TestWhatNobodyHasSeenIsNotResolved(t *testing.T) {
	b := newBook(t)
	b.mustNote(t, true, rec1, other)
	seen := b.mustGet(t, "rec-1")
	b.mustNote(t, true, rec1, two)
	if err := b.Resolve(t.Context(), seen, "ada@desk", "looked"); !errors.Is(err, ErrChanged) {
		t.Fatalf("got %v", err)
	}
	if !b.mustGet(t, "rec-1").Open() {
		t.Error("it was resolved all the same")
	}
}

func TestStrangersHaveNamesThatNoRecordingHas(t *testing.T) {
	b := newBook(t)
	// The source "recordings" may have a recording "x.wav", whose idempotency key reads like the object key of another's.
	b.mustNote(t, true, About{ObjectKey: "recordings/x.wav"}, Difference{Kind: "unknown_object", Tier: "primary"})
	b.mustNote(t, true, About{IdempotencyKey: "recordings/x.wav"}, other)
	if r := b.mustGet(t, Stranger("recordings/x.wav")); r.IdempotencyKey != "" || r.Differences[0].Kind != "unknown_object" || r.Name() != "object:recordings/x.wav" {
		t.Errorf("got %+v", r)
	}
	if r := b.mustGet(t, "recordings/x.wav"); r.Differences[0].Kind != other.Kind {
		t.Errorf("got %+v", r)
	}
}

func TestAllAreReadHoweverMany(t *testing.T) {
	b := newBook(t)
	const many = 1500 // more than one answer of the server's holds
	for i := range many {
		b.mustNote(t, true, About{IdempotencyKey: fmt.Sprintf("rec-%d", i)}, other)
	}
	b.mustResolve(t, "rec-3")
	b.mustNote(t, true, About{IdempotencyKey: "rec-4"}, two)
	if open, err := b.Counter().Count(t.Context()); err != nil || open != many-1 {
		t.Errorf("%d open, %v", open, err)
	}
	n := 0
	for _, err := range b.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 10 {
			break
		}
	}
	if n != 10 {
		t.Errorf("broke off after %d", n)
	}
}

func TestTwoWhoNoteAtOnceLoseNothing(t *testing.T) {
	b := newBook(t)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			if _, err := b.Note(t.Context(), rec1, Difference{Kind: fmt.Sprintf("kind_%d", i), Tier: "primary", Evidence: "x"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if r := b.mustGet(t, "rec-1"); len(r.Differences) != 6 {
		t.Errorf("got %+v", r.Differences)
	}
}

func TestEvidenceIsBounded(t *testing.T) {
	b := newBook(t)
	long := other
	long.Evidence = strings.Repeat("ä\n", 4*MaxEvidence) + "https://cdn.example.com/a?signature=s3cret"
	b.mustNote(t, true, rec1, long)
	b.mustNote(t, false, rec1, long)
	for i := range 3 * maxDifferences {
		if _, err := b.Note(t.Context(), rec1, Difference{Kind: fmt.Sprint(i), Evidence: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	r := b.mustGet(t, "rec-1")
	if len(r.Differences) != maxDifferences {
		t.Errorf("%d differences", len(r.Differences))
	}
	for _, d := range r.Differences {
		if len(d.Evidence) > MaxEvidence || strings.ContainsAny(d.Evidence, "\n") {
			t.Errorf("%d bytes of evidence", len(d.Evidence))
		}
	}
}

func TestAnEntryThatIsNoRecordIsAnError(t *testing.T) {
	b := newBook(t)
	if _, err := b.kv.Put(t.Context(), event.HashKey("rec-1"), []byte("?")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), "rec-1"); err == nil || errors.Is(err, ErrNone) {
		t.Errorf("got %v", err)
	}
	if _, err := b.Counter().Count(t.Context()); err == nil {
		t.Error("it was counted")
	}
}
