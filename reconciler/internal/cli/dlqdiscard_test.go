package cli

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
)

func (b *bed) discard(args ...string) discarded {
	b.t.Helper()
	return decode[discarded](b.t, b.ok(append([]string{"dlq", "discard", "--yes", "-o", "json"}, args...)...).stdout)
}

func TestDiscardRemovesLettersAndSaysInTheLogWhy(t *testing.T) {
	b := provisioned(t)
	b.giveEvent(tier.Primary, queue.SourceGone, 1, recordingEvent("default", "rec-1", 1))
	b.giveEvent(tier.Primary, queue.StoreRefused, 2, recordingEvent("default", "rec-1", 2))
	b.give(tier.Backup, queue.InvalidEvent, 3, []byte("hello"))
	if err := b.ledger().Letter(t.Context(), "rec-1", tier.Primary, "store_refused"); err != nil {
		t.Fatal(err)
	}
	got := b.discard("--reason", "test calls, says Ada")
	if got.Matched != 2 || got.Discarded != 2 || len(got.Letters) != 2 || b.count(queue.DeadLetters) != 0 || b.count(queue.Recordings) != 0 {
		t.Errorf("got %+v", got)
	}
	want := event.AuditData{Tier: "primary", IdempotencyKey: "rec-1", ObjectKey: "recordings/rec-1.wav", Reason: "test calls, says Ada", By: operator()}
	if a := b.audited("audit.discarded.primary"); len(a) != 2 || !reflect.DeepEqual(a[0], want) || !reflect.DeepEqual(a[1], want) {
		t.Errorf("audited %+v, want %+v", a, want)
	}
	if a := b.audited("audit.discarded.backup"); len(a) != 1 || !reflect.DeepEqual(a[0], event.AuditData{Tier: "backup", Reason: want.Reason, By: operator()}) {
		t.Errorf("audited %+v", a)
	}
	if id := b.stored(queue.Audit, "audit.discarded.primary")[0].Header.Get("Nats-Msg-Id"); id != "discarded/primary/RECORDINGS_DLQ/1" {
		t.Errorf("its ID is %s", id)
	}
	book, err := quarantine.Open(t.Context(), b.js)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := book.Get(t.Context(), "rec-1"); err != nil || r.Discarded[tier.Primary].Reason != want.Reason || r.Discarded[tier.Primary].By != operator() || r.Open() {
		t.Errorf("runs are told %+v, %v", r, err)
	}
	if out := b.ok("quarantine", "show", "rec-1").stdout; !strings.Contains(out, "primary's dead letter was discarded") {
		t.Errorf("a person is told %s", out)
	}
	if r, err := b.ledger().Record(t.Context(), "rec-1"); err != nil && !errors.Is(err, ledger.ErrNoRecord) || r.Letters[tier.Primary] != "" {
		t.Errorf("the record still tells of a letter: %+v, %v", r, err)
	}
}

// A letter of an event that contradicts the agreement gives up that event; the recording is still owed.
func TestDiscardingAContradictionGivesUpNoRecording(t *testing.T) {
	b := provisioned(t)
	b.giveEvent(tier.Primary, queue.DigestConflict, 1, recordingEvent("default", "rec-1", 1))
	if got := b.discard("--reason", "an old event"); got.Discarded != 1 {
		t.Fatalf("got %+v", got)
	}
	book, err := quarantine.Open(t.Context(), b.js)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := book.Get(t.Context(), "rec-1"); !errors.Is(err, quarantine.ErrNone) {
		t.Errorf("got %v", err)
	}
}

func TestDiscardChoosesLikeList(t *testing.T) {
	b := provisioned(t)
	for i, id := range []string{"rec-1", "rec-2", "rec-3"} {
		b.giveEvent(tier.Primary, queue.SourceGone, uint64(i+1), recordingEvent("default", id, 1))
		b.giveEvent(tier.Backup, queue.StoreRefused, uint64(i+1), recordingEvent("emea", id, 1))
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"--reason", "gone", "--id", "rec-1"}, []string{"backup emea/rec-1", "primary rec-2", "backup emea/rec-2", "primary rec-3", "backup emea/rec-3"}},
		{[]string{"--reason", "gone", "--tier", "primary", "--limit", "1"}, []string{"backup emea/rec-1", "backup emea/rec-2", "primary rec-3", "backup emea/rec-3"}},
		{[]string{"--reason", "source_gone"}, []string{"backup emea/rec-1", "backup emea/rec-2", "backup emea/rec-3"}},
		{[]string{"--reason", "gone", "--only", "store_refused", "--source", "emea", "--limit", "2"}, []string{"backup emea/rec-3"}},
		{[]string{"--reason", "source_gone", "--only", "store_refused", "--since", "1h"}, nil},
	} {
		b.discard(c.args...)
		if got := b.listed(); !slices.Equal(got, c.want) && len(got)+len(c.want) > 0 {
			t.Fatalf("%v: %q are left, want %q", c.args, got, c.want)
		}
	}
}

func TestDiscardNeedsAReasonAndAYesAndADryRunChangesNothing(t *testing.T) {
	b := provisioned(t)
	b.giveEvent(tier.Primary, queue.SourceGone, 1, recordingEvent("default", "rec-1", 1))
	b.wants(2, "--reason", "dlq", "discard", "--yes")
	b.wants(2, "--reason", "dlq", "discard", "--yes", "--reason", "  ")
	b.wants(2, "--yes", "dlq", "discard", "--reason", "x")
	b.wants(2, "--only", "dlq", "discard", "--reason", "x", "--yes", "--only", "nope")
	b.wants(2, "--rate", "dlq", "discard", "--reason", "x", "--yes", "--rate", "NaN")
	for _, misspelt := range []string{"source_gon", "sorce_gone", "Source_Gone", "source-gone", "sourcegone", "source gone"} { // it would choose all
		b.wants(2, "source_gone", "dlq", "discard", "--yes", "--reason", misspelt)
	}
	b.ok("dlq", "discard", "--dry-run", "--reason", "source_gon", "--only", "source_gone")
	r := b.ok("dlq", "discard", "--reason", "x", "--dry-run", "-o", "json")
	if got := decode[discarded](t, r.stdout); got.Matched != 1 || got.Discarded != 0 || !strings.Contains(r.stderr, "would discard 1") {
		t.Errorf("got %+v, said %s", got, r.stderr)
	}
	if b.count(queue.DeadLetters) != 1 || b.count(queue.Audit) != 0 {
		t.Error("something changed")
	}
}

// AUDIT is made to refuse: as if it were full.
func TestDiscardThatCannotBeAuditedKeepsTheLetter(t *testing.T) {
	b := provisioned(t)
	b.giveEvent(tier.Primary, queue.SourceGone, 1, recordingEvent("default", "rec-1", 1))
	if err := b.js.DeleteStream(t.Context(), queue.Audit); err != nil {
		t.Fatal(err)
	}
	b.wants(1, "repeat the command", "dlq", "discard", "--reason", "x", "--yes")
	if b.count(queue.DeadLetters) != 1 {
		t.Error("the letter is gone")
	}
}
