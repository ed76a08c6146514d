package cli

import (
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
)

// book returns the quarantine with a recording, a resolved one, and a stranger in it.
func (b *bed) book() *quarantine.Book {
	b.t.Helper()
	book, err := quarantine.Open(b.t.Context(), b.js)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, about := range []quarantine.About{{IdempotencyKey: "rec-1", ObjectKey: "recordings/rec-1.wav"}, {IdempotencyKey: "emea/rec-2"}, {ObjectKey: "recordings/stranger.bin"}} {
		if _, err := book.Note(b.t.Context(), about, quarantine.Difference{Kind: "size_differs", Tier: "primary", ObjectKey: about.ObjectKey, Evidence: "3 bytes, agreed 4"}); err != nil {
			b.t.Fatal(err)
		}
	}
	return book
}

func TestQuarantineIsListedShownAndResolved(t *testing.T) {
	b := provisioned(t)
	b.ok("quarantine", "list")
	b.book()
	if list := decode[[]quarantine.Record](t, b.ok("quarantine", "list", "-o", "json").stdout); len(list) != 3 {
		t.Fatalf("got %+v", list)
	}
	b.ok("quarantine", "resolve", "default/rec-1", "--reason", "looked at it", "--yes")
	if text := b.ok("quarantine", "list").stdout; strings.Contains(text, "rec-1") || !strings.Contains(text, "object:recordings/stranger.bin") || !strings.Contains(text, "emea/rec-2") {
		t.Errorf("the open ones:\n%s", text)
	}
	if text := b.ok("quarantine", "list", "--all").stdout; !strings.Contains(text, "looked at it") {
		t.Errorf("all:\n%s", text)
	}
	shown := decode[quarantine.Record](t, b.ok("quarantine", "show", "rec-1", "-o", "json").stdout)
	if shown.Open() || shown.Resolved.By != operator() || shown.Differences[0].Evidence != "3 bytes, agreed 4" {
		t.Errorf("got %+v", shown)
	}
	audited := b.stored(queue.Audit, "audit.quarantined.all")
	if len(audited) != 1 {
		t.Fatalf("%d audit events", len(audited))
	}
	for _, want := range []string{`"reason":"resolved: looked at it"`, `"idempotencyKey":"rec-1"`, `"by":"`} {
		if !strings.Contains(string(audited[0].Data), want) {
			t.Errorf("audited %s, want %s", audited[0].Data, want)
		}
	}
	b.ok("quarantine", "resolve", "object:recordings/stranger.bin", "--reason", "mine", "--yes")
}

func TestQuarantineRefusesWhatIsWrong(t *testing.T) {
	b := provisioned(t)
	b.book()
	for _, c := range []struct {
		code  int
		words string
		args  []string
	}{
		{1, "not in quarantine", []string{"show", "rec-9"}},
		{1, "not in quarantine", []string{"resolve", "rec-9", "--reason", "x", "--yes"}},
		{2, "recording ID", []string{"show", ".x"}},
		{2, "object's key", []string{"show", "object:"}},
		{2, "want one", []string{"show"}},
		{2, "--reason", []string{"resolve", "rec-1", "--yes"}},
		{2, "add --yes", []string{"resolve", "rec-1", "--reason", "x"}},
	} {
		b.wants(c.code, c.words, append([]string{"quarantine"}, c.args...)...)
	}
	if n := len(b.stored(queue.Audit, "audit.quarantined.all")); n != 0 {
		t.Errorf("%d audit events of what was refused", n)
	}
}

func TestNothingIsResolvedThatTheLogDoesNotTake(t *testing.T) {
	b := provisioned(t)
	b.book()
	if err := b.js.DeleteStream(t.Context(), queue.Audit); err != nil {
		t.Fatal(err)
	}
	b.wants(1, "nothing was changed", "quarantine", "resolve", "rec-1", "--reason", "x", "--yes")
	if r := decode[quarantine.Record](t, b.ok("quarantine", "show", "rec-1", "-o", "json").stdout); !r.Open() {
		t.Errorf("got %+v", r)
	}
}
