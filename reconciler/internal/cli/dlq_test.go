package cli

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
)

// keys returns the names of a JSON object's fields, sorted.
func keys(t *testing.T, object json.RawMessage) []string {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(object, &m); err != nil {
		t.Fatal(err)
	}
	var out []string
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// listed runs `dlq list` and returns tier and key of each letter.
func (b *bed) listed(args ...string) []string {
	b.t.Helper()
	out := []string{}
	for _, l := range decode[[]letters.Letter](b.t, b.ok(append([]string{"dlq", "list", "-o", "json"}, args...)...).stdout) {
		out = append(out, l.Tier.String()+" "+l.IdempotencyKey)
	}
	return out
}

func TestDLQListShowsTheContractsFields(t *testing.T) {
	b := provisioned(t)
	b.giveEvent(tier.Primary, queue.SourceGone, 7, recordingEvent("default", "rec-1", 1))
	list := decode[[]json.RawMessage](t, b.ok("dlq", "list", "-o", "json").stdout)
	want := []string{"attempts", "deadAt", "error", "idempotencyKey", "reason", "recordingId", "sequence", "tier"}
	if len(list) != 1 || !slices.Equal(keys(t, list[0]), want) {
		t.Fatalf("got %s, want the fields %v", list, want)
	}
	l := decode[letters.Letter](t, string(list[0]))
	if time.Since(l.DeadAt) > time.Minute || l.DeadAt.Location() != time.UTC {
		t.Errorf("dead at %v", l.DeadAt)
	}
	l.DeadAt = time.Time{}
	if l != (letters.Letter{
		Tier: tier.Primary, Sequence: 1, RecordingID: "rec-1", IdempotencyKey: "rec-1", Reason: queue.SourceGone,
		Error: "source: open: answered 404", Attempts: 3,
	}) {
		t.Errorf("got %+v", l)
	}
}

func TestDLQListIsEmptyInWordsAndInJSON(t *testing.T) {
	b := provisioned(t)
	if r := b.ok("dlq", "list", "-o", "json"); r.stdout != "[]\n" {
		t.Errorf("json: got %q", r.stdout)
	}
	if r := b.ok("dlq", "list", "-o", "ndjson"); r.stdout != "" {
		t.Errorf("ndjson: got %q", r.stdout)
	}
	if r := b.ok("dlq", "list"); r.stdout != "" || !strings.Contains(r.stderr, "no dead letters") {
		t.Errorf("table: got %+v", r)
	}
}

func TestDLQListGroupsAndFilters(t *testing.T) {
	b := provisioned(t)
	b.giveEvent(tier.Primary, queue.SourceGone, 1, recordingEvent("default", "rec-1", 1))
	b.giveEvent(tier.Backup, queue.SourceGone, 1, recordingEvent("default", "rec-1", 1))
	b.giveEvent(tier.Primary, queue.StoreRefused, 2, recordingEvent("default", "rec-1", 2))
	b.giveEvent(tier.Backup, queue.DigestConflict, 3, recordingEvent("emea", "rec-2", 1))
	b.giveEvent(tier.Backup, queue.DigestConflict, 4, recordingEvent("emea", "rec-2", 2))
	for _, c := range []struct {
		args string
		want []string
	}{
		{"", []string{"backup rec-1", "primary rec-1", "backup emea/rec-2", "backup emea/rec-2"}},
		{"--tier primary", []string{"primary rec-1"}},
		{"--reason source_gone", []string{"backup rec-1"}},
		{"--source emea --limit 1", []string{"backup emea/rec-2"}},
		{"--since 1h --id rec-1", []string{"backup rec-1", "primary rec-1"}},
		{"--since 2000-01-01T00:00:00Z --id rec-1,emea/rec-2 --tier primary", []string{"primary rec-1"}},
		{"--id rec-9 rec-1 --tier backup", []string{"backup rec-1"}},
		{"--since 2999-01-01T00:00:00Z", []string{}},
		{"--id rec-2", []string{}},
	} {
		t.Run(c.args, func(t *testing.T) {
			if got := b.listed(strings.Fields(c.args)...); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if r := b.ok("dlq", "list"); strings.Count(r.stdout, "\n") != 5 || !strings.HasPrefix(r.stdout, "TIER ") {
		t.Errorf("as a table:\n%s", r.stdout)
	}
	if r := b.ok("dlq", "list", "-o", "ndjson"); strings.Count(r.stdout, "\n") != 4 {
		t.Errorf("one a line:\n%s", r.stdout)
	}
}

func TestDLQListReadsManyLetters(t *testing.T) {
	b := provisioned(t)
	body, err := recordingEvent("default", "rec-1", 1).Encode()
	if err != nil {
		t.Fatal(err)
	}
	const many = 1500
	for i := range uint64(many) {
		b.give(tier.Primary, queue.DigestConflict, i+1, body)
	}
	if got := len(b.listed()); got != many {
		t.Errorf("got %d, want %d", got, many)
	}
}

func TestDLQFlagsAreChecked(t *testing.T) {
	for args, words := range map[string]string{
		"--tier third": "--tier", "--reason bad_luck": "--reason", "--source Nope!": "--source", "--since yesterday": "--since", "--since -1h": "--since",
		"--id ../x": "../x", "--id a/b/c": "a/b/c", "--id recording-complete/x": "source", "--limit -1": "--limit", "--limit 0": "--limit",
		"rec-1": "--id", "--bogus": "--bogus", "--id=": "--id",
	} {
		t.Run(args, func(t *testing.T) {
			r := runWith(t, nil, append([]string{"dlq", "list"}, strings.Fields(args)...)...)
			if r.code != 2 || !strings.Contains(r.stderr, words) || r.stdout != "" {
				t.Errorf("got %+v, want exit code 2 and %q", r, words)
			}
		})
	}
}

func TestDLQNeedsTheStream(t *testing.T) {
	b := newBed(t)
	b.wants(1, "reconciler provision", "dlq", "list")
	b.wants(1, "reconciler provision", "dlq", "show", "--sequence", "1")
	b.wants(1, "reconciler provision", "dlq", "replay", "--yes")
}

func TestDLQShowTellsAllButLinksAndNames(t *testing.T) {
	b := provisioned(t)
	body := b.giveEvent(tier.Primary, queue.SourceGone, 7, recordingEvent("emea", "rec-1", 1))
	b.giveEvent(tier.Primary, queue.SourceGone, 8, recordingEvent("emea", "rec-1", 2))
	b.giveEvent(tier.Primary, queue.SourceGone, 9, recordingEvent("default", "rec-1", 1))
	r := b.ok("dlq", "show", "emea/rec-1", "-o", "json")
	list := decode[[]letters.Full](t, r.stdout)
	if len(list) != 2 {
		t.Fatalf("got %s", r.stdout)
	}
	f := list[0]
	if f.OriginSubject != "recordings.completed.both" || f.OriginSequence != 7 || f.Bytes != len(body) || f.Event == nil || f.Event.Data.Media.URL != "cdn.example.com" ||
		!strings.HasPrefix(f.Traceparent, "00-0af7") {
		t.Errorf("got %+v", f)
	}
	text := b.ok("dlq", "show", "emea/rec-1")
	for _, out := range []string{r.stdout, text.stdout} {
		if strings.Contains(out, "s3cret") || strings.Contains(out, "Ada") || !strings.Contains(out, "billing") {
			t.Errorf("shows too much or too little: %s", out)
		}
	}
	b.wants(1, "no such dead letter", "dlq", "show", "rec-9")
	b.wants(2, "rec-?", "dlq", "show", "rec-?")
	b.wants(2, "want one recording ID", "dlq", "show")
	b.wants(2, "want one recording ID", "dlq", "show", "rec-1", "--sequence", "3")
}

func TestDLQShowFindsALetterWithoutAnEventBySequence(t *testing.T) {
	b := provisioned(t)
	b.give(tier.Backup, queue.InvalidEvent, 1, []byte("hello\x1b[31m"))
	f := decode[[]letters.Full](t, b.ok("dlq", "show", "--sequence", "1", "-o", "json").stdout)
	if len(f) != 1 || f[0].Event != nil || f[0].EventError == "" || f[0].Bytes != 10 || f[0].Reason != queue.InvalidEvent {
		t.Errorf("got %+v", f)
	}
	if r := b.ok("dlq", "show", "--sequence", "1"); !strings.Contains(r.stdout, "10 bytes") || strings.Contains(r.stdout, "\x1b") {
		t.Errorf("got %q", r.stdout)
	}
	b.wants(1, "no such dead letter", "dlq", "show", "--sequence", "2")
}
