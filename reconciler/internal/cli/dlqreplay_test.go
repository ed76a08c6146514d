package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// ledger opens Redis as the program does.
func (b *bed) ledger() *redisledger.Ledger {
	b.t.Helper()
	l, err := redisledger.Open(redisledger.Config{URL: b.env["TWINREEL_REDIS_URL"], Prefix: b.env["TWINREEL_REDIS_PREFIX"], TTL: time.Hour})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = l.Close() })
	return l
}

// redriven returns the events that were sent to a tier again.
func (b *bed) redriven(t tier.Tier) []event.Event {
	b.t.Helper()
	var out []event.Event
	for _, m := range b.stored(queue.Recordings, queue.RedriveSubject(t)) {
		e, err := event.Parse(m.Data)
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func ids(list []event.Event) []string {
	var out []string
	for _, e := range list {
		out = append(out, e.ID)
	}
	return out
}

func (b *bed) replay(args ...string) replayed {
	b.t.Helper()
	return decode[replayed](b.t, b.ok(append([]string{"dlq", "replay", "--yes", "-o", "json"}, args...)...).stdout)
}

// The worker acknowledges a redrive whose link is past its time, for the letter that is still open plans anew: a replay,
// which removes the letter, must not send such a link.
func TestReplaySendsNoLinkToTheSiblingsCopy(t *testing.T) {
	b := provisioned(t)
	e := recordingEvent("default", "rec-1", 1)
	e.Type, e.Data.Reason = event.TypeRedrive, "dead_letter"
	e.Data.CopyFrom = &event.CopyFrom{URL: "https://store.example.com/a?signature=s3cret", Size: 1, ExpiresAt: time.Now().Add(-time.Minute)}
	b.giveEvent(tier.Primary, queue.SourceGone, 1, e)
	if got := b.replay(); got.Replayed != 1 {
		t.Errorf("got %+v", got)
	}
	again := b.redriven(tier.Primary)
	if len(again) != 1 || again[0].Data.CopyFrom != nil || again[0].Data.Reason != "replay" || again[0].Data.Media.URL != e.Data.Media.URL {
		t.Errorf("primary got %+v", again)
	}
}

func TestReplaySendsEachEventAgainAndRemovesItsLetters(t *testing.T) {
	b := provisioned(t)
	one, two, other := recordingEvent("default", "rec-1", 1), recordingEvent("default", "rec-1", 2), recordingEvent("emea", "rec-2", 1)
	b.giveEvent(tier.Primary, queue.SourceGone, 1, one)
	b.giveEvent(tier.Primary, queue.SourceGone, 2, two)
	b.giveEvent(tier.Backup, queue.StoreRefused, 3, other)
	b.giveEvent(tier.Primary, queue.SourceGone, 4, one) // given up a second time
	got := b.replay()
	if got.Matched != 2 || got.Replayed != 2 || len(got.Letters) != 2 || got.Letters[0].IdempotencyKey != "emea/rec-2" || got.Letters[1].Sequence != 4 {
		t.Errorf("got %+v", got)
	}
	if have := ids(b.redriven(tier.Primary)); !slices.Equal(have, []string{one.ID, two.ID}) {
		t.Errorf("primary got %v, want each distinct event once, oldest first", have)
	}
	again := b.redriven(tier.Backup)
	if len(again) != 1 || !again[0].Redrive() || again[0].Data.Reason != "replay" || again[0].Data.Media.URL != other.Data.Media.URL ||
		again[0].Data.Participants[0]["name"] != "Ada Lovelace" {
		t.Errorf("backup got %+v", again)
	}
	if n := b.count(queue.DeadLetters); n != 0 {
		t.Errorf("%d letters stay", n)
	}
	m := b.stored(queue.Recordings, queue.RedriveSubject(tier.Backup))[0]
	if trace := m.Header["traceparent"]; len(trace) != 1 || m.Header.Get("Nats-Msg-Id") == other.ID || m.Header.Get("Content-Type") != event.ContentType {
		t.Errorf("headers %v", m.Header)
	}
}

func TestReplayIsAuditedWithWhoDidIt(t *testing.T) {
	b := provisioned(t)
	b.giveEvent(tier.Primary, queue.SourceGone, 1, recordingEvent("default", "rec-1", 1))
	b.replay()
	all := b.stored(queue.Audit, "audit.replayed.primary")
	if len(all) != 1 || all[0].Header.Get("Nats-Msg-Id") != "replayed/primary/RECORDINGS_DLQ/1" {
		t.Fatalf("got %v", all)
	}
	var a struct{ Data event.AuditData }
	if err := json.Unmarshal(all[0].Data, &a); err != nil {
		t.Fatal(err)
	}
	want := event.AuditData{Tier: "primary", IdempotencyKey: "rec-1", ObjectKey: "recordings/rec-1.wav", Reason: "source_gone", By: operator()}
	if !reflect.DeepEqual(a.Data, want) || !strings.Contains(operator(), "@") {
		t.Errorf("got %+v, want %+v", a.Data, want)
	}
	if bytes.Contains(all[0].Data, []byte("s3cret")) || bytes.Contains(all[0].Data, []byte("Ada")) {
		t.Errorf("holds a link or a name: %s", all[0].Data)
	}
}

func TestReplayDryRunChangesNothing(t *testing.T) {
	b := provisioned(t)
	b.giveEvent(tier.Primary, queue.SourceGone, 1, recordingEvent("default", "rec-1", 1))
	b.give(tier.Primary, queue.InvalidEvent, 2, []byte("hello"))
	r := b.ok("dlq", "replay", "--dry-run", "-o", "json")
	got := decode[replayed](t, r.stdout)
	if got.Matched != 2 || got.Replayed != 0 || len(got.Letters) != 2 || !strings.Contains(r.stderr, "would replay 1 of 2") {
		t.Errorf("got %+v, said %s", got, r.stderr)
	}
	if b.count(queue.Recordings) != 0 || b.count(queue.DeadLetters) != 2 || b.count(queue.Audit) != 0 {
		t.Error("something changed")
	}
}

func TestReplayWithoutYesIsRefusedWhereNobodyCanBeAsked(t *testing.T) {
	b := provisioned(t)
	b.giveEvent(tier.Primary, queue.SourceGone, 1, recordingEvent("default", "rec-1", 1))
	r := b.wants(2, "--yes", "dlq", "replay")
	if r.stdout != "" || b.count(queue.Recordings) != 0 || b.count(queue.DeadLetters) != 1 {
		t.Errorf("something was done: %+v", r)
	}
	b.wants(2, "--rate", "dlq", "replay", "--yes", "--rate", "0")
}

func TestConfirmTakesOnlyAYes(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, "yes": true, "\n": false, "": false, "no\n": false, "yesterday\n": false} {
		var asked bytes.Buffer
		a := &app{World: World{Stdin: strings.NewReader(answer), Stderr: &asked}}
		if got := a.confirm("Really?"); got != want || asked.String() != "Really? [y/N] " {
			t.Errorf("%q: got %v, asked %q", answer, got, asked.String())
		}
	}
}

func TestReplayChoosesLikeList(t *testing.T) {
	b := provisioned(t)
	for i, id := range []string{"rec-1", "rec-2", "rec-3", "rec-4"} {
		b.giveEvent(tier.Primary, queue.SourceGone, uint64(i+1), recordingEvent("default", id, 1))
		b.giveEvent(tier.Backup, queue.SourceGone, uint64(i+1), recordingEvent("default", id, 1))
	}
	if got := b.replay("--tier", "backup", "--id", "rec-1", "--id", "rec-3", "--limit", "1"); got.Replayed != 1 {
		t.Errorf("got %+v", got)
	}
	if got := b.redriven(tier.Backup); len(got) != 1 || got[0].Data.RecordingID != "rec-1" || len(b.redriven(tier.Primary)) != 0 {
		t.Errorf("got %v", got)
	}
	if got := len(b.listed()); got != 7 {
		t.Errorf("%d letters are left, want 7", got)
	}
	if r := b.ok("dlq", "replay", "--yes", "--id", "rec-9", "-o", "json"); decode[replayed](t, r.stdout).Matched != 0 || !strings.Contains(r.stderr, "no dead letters") {
		t.Errorf("nothing matches: got %+v", r)
	}
}

// The removal is made to fail: as if the program had died after the acknowledgement.
func TestReplayBrokenOffBeforeTheRemovalLosesAndDoublesNothing(t *testing.T) {
	b := provisioned(t)
	b.giveEvent(tier.Primary, queue.SourceGone, 1, recordingEvent("default", "rec-1", 1))
	b.giveEvent(tier.Primary, queue.SourceGone, 2, recordingEvent("default", "rec-1", 2))
	if err := b.ledger().Letter(t.Context(), "rec-1", tier.Primary, "source_gone"); err != nil {
		t.Fatal(err)
	}
	stream, err := b.js.Stream(t.Context(), queue.DeadLetters)
	if err != nil {
		t.Fatal(err)
	}
	c := stream.CachedInfo().Config
	c.DenyDelete = true
	if _, err := b.js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r := b.wants(1, "repeat the command", "dlq", "replay", "--yes", "-o", "json")
		if got := decode[replayed](t, r.stdout); got.Matched != 1 || got.Replayed != 0 {
			t.Errorf("got %+v", got)
		}
	}
	if letters, sent, audited := b.count(queue.DeadLetters), b.count(queue.Recordings), b.count(queue.Audit); letters != 2 || sent != 2 || audited != 2 {
		t.Errorf("%d letters, %d events, %d audit events; want 2 of each", letters, sent, audited)
	}
	if r, err := b.ledger().Record(t.Context(), "rec-1"); err != nil || r.Letters[tier.Primary] != "source_gone" {
		t.Errorf("the record must still tell of the letter: %+v, %v", r, err)
	}
}

// AUDIT is made to refuse: as if it were full.
func TestReplayThatCannotBeAuditedKeepsTheLetter(t *testing.T) {
	b := provisioned(t)
	b.giveEvent(tier.Primary, queue.SourceGone, 1, recordingEvent("default", "rec-1", 1))
	if err := b.js.DeleteStream(t.Context(), queue.Audit); err != nil {
		t.Fatal(err)
	}
	b.wants(1, "audit", "dlq", "replay", "--yes")
	if n := b.count(queue.DeadLetters); n != 1 {
		t.Fatalf("%d letters, want 1", n)
	}
	b.ok("provision")
	b.replay()
	if letters, sent := b.count(queue.DeadLetters), b.count(queue.Recordings); letters != 0 || sent != 1 {
		t.Errorf("%d letters, %d events; want 0 and 1", letters, sent)
	}
}

func TestReplayKeepsWhatItCannotSend(t *testing.T) {
	b := provisioned(t)
	b.give(tier.Primary, queue.InvalidEvent, 1, []byte(`{"data":{"idempotencyKey":"rec-1"}}`))
	b.giveEvent(tier.Primary, queue.SourceGone, 2, recordingEvent("default", "rec-1", 1))
	b.giveEvent(tier.Primary, queue.SourceGone, 3, recordingEvent("default", "rec-2", 1))
	r := b.wants(1, "dead letter 1 stays", "dlq", "replay", "--yes", "-o", "json")
	if got := decode[replayed](t, r.stdout); got.Matched != 2 || got.Replayed != 1 {
		t.Errorf("got %+v", got)
	}
	if left := b.stored(queue.DeadLetters, ">"); len(left) != 1 || left[0].Sequence != 1 || b.count(queue.Recordings) != 2 {
		t.Errorf("left: %v", left)
	}
}

func TestReplayKeepsTheRecordInStep(t *testing.T) {
	b := provisioned(t)
	l := b.ledger()
	for _, id := range []string{"rec-1", "rec-2"} {
		b.giveEvent(tier.Primary, queue.DigestConflict, uint64(len(b.listed())+1), recordingEvent("default", id, 1))
		b.giveEvent(tier.Primary, queue.SourceGone, uint64(len(b.listed())+1), recordingEvent("default", id, 2))
		if err := l.Letter(t.Context(), id, tier.Primary, "source_gone"); err != nil {
			t.Fatal(err)
		}
	}
	b.replay("--reason", "source_gone")
	b.replay("--id", "rec-2")
	for id, want := range map[string]string{"rec-1": "digest_conflict", "rec-2": ""} {
		r, err := l.Record(t.Context(), id)
		if err != nil && !errors.Is(err, ledger.ErrNoRecord) || r.Letters[tier.Primary] != want {
			t.Errorf("%s: got %v, %v; want %q", id, r.Letters, err, want)
		}
	}
}

func TestReplayNeedsNoRedis(t *testing.T) {
	for name, url := range map[string]string{"away": "redis://" + nowhere + "/0", "set up wrongly": "http://x"} {
		t.Run(name, func(t *testing.T) {
			b := provisioned(t)
			b.env["TWINREEL_REDIS_URL"] = url
			b.giveEvent(tier.Primary, queue.SourceGone, 1, recordingEvent("default", "rec-1", 1))
			b.giveEvent(tier.Primary, queue.SourceGone, 2, recordingEvent("default", "rec-2", 1))
			r := b.wants(0, "records in Redis are left as they are", "dlq", "replay", "--yes", "-o", "json")
			if got := decode[replayed](t, r.stdout); got.Replayed != 2 || strings.Count(r.stderr, "left as they are") != 1 {
				t.Errorf("got %+v, said %s", got, r.stderr)
			}
		})
	}
}

func TestReplayHoldsItsRate(t *testing.T) {
	b := provisioned(t)
	for i := range 4 {
		b.giveEvent(tier.Primary, queue.DigestConflict, uint64(i+1), recordingEvent("default", "rec-1", i))
	}
	start := time.Now()
	b.replay("--rate", "10")
	if took := time.Since(start); took < 300*time.Millisecond {
		t.Errorf("4 events at 10 a second took %v", took)
	}
}

func TestReplayOfALaterLetterIsANewRedrive(t *testing.T) {
	b := provisioned(t)
	e := recordingEvent("default", "rec-1", 1)
	for i := range 2 { // given up, replayed, given up again
		b.giveEvent(tier.Primary, queue.SourceGone, uint64(i+1), e)
		b.replay()
	}
	if got := len(b.redriven(tier.Primary)); got != 2 {
		t.Errorf("got %d redrives, want one for each letter", got)
	}
}

func TestAForgottenRecordingsLettersAreNotReplayed(t *testing.T) {
	b := provisioned(t)
	b.giveEvent(tier.Primary, queue.SourceGone, 1, recordingEvent("default", "rec-1", 1))
	b.giveEvent(tier.Primary, queue.SourceGone, 2, recordingEvent("default", "rec-2", 1))
	kv, err := b.js.KeyValue(t.Context(), queue.Tombstones)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Create(t.Context(), event.HashKey("rec-1"), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	r := b.wants(1, "was forgotten", "dlq", "replay", "--yes", "-o", "json")
	if got := decode[replayed](t, r.stdout); got.Matched != 2 || got.Replayed != 1 {
		t.Errorf("got %+v", got)
	}
	if sent := b.stored(queue.Recordings, queue.RedriveSubject(tier.Primary)); len(sent) != 1 || !strings.Contains(string(sent[0].Data), "rec-2") {
		t.Errorf("sent %d", len(sent))
	}
}
