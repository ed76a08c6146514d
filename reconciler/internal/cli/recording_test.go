package cli

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/history"
)

// storedAt is when the test's copies were stored, before the tier is added.
func storedAt() time.Time { return time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC) }

// store writes a copy into the ledger as a worker does.
func (b *bed) store(id string, t tier.Tier, at time.Time) {
	b.t.Helper()
	_, recording, _ := strings.Cut("/"+id, "/")
	_, err := b.ledger().Finished(b.t.Context(), id, t, ledger.Copy{
		RecordingID: recording, ReceivedAt: storedAt().Add(-time.Minute), SHA256: strings.Repeat("ab", 32), Size: 1234,
		Stored: ledger.Stored{Bucket: "bucket-" + t.String(), Key: "recordings/" + id + ".wav", ETag: "e", Timestamp: at},
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// whats returns the timeline as text.
func whats(r history.Recording) []string {
	var out []string
	for _, e := range r.Timeline {
		out = append(out, stamp(e.At)+" "+e.Tier+" "+e.What)
	}
	return out
}

func TestRecordingShowTellsTheRecordAndItsTimeline(t *testing.T) {
	b := newBed(t)
	b.env["TWINREEL_NATS_URL"] = "nats://" + nowhere // Redis alone has the answer
	b.store("rec-1", tier.Backup, storedAt())
	b.store("rec-1", tier.Primary, storedAt().Add(time.Second))
	r := b.ok("recording", "show", "rec-1", "-o", "json")
	want := []string{
		"backupStorage", "idempotencyKey", "letters", "primaryStorage", "recordingId", "retries", "retryCount", "sha256", "size", "status", "timeline",
	}
	if got := keys(t, json.RawMessage(r.stdout)); !slices.Equal(got, want) {
		t.Errorf("got the fields %v, want %v", got, want)
	}
	got := decode[history.Recording](t, r.stdout)
	if got.Status != ledger.Completed || got.Size != 1234 || got.Primary.Bucket != "bucket-primary" || got.Backup.Key != "recordings/rec-1.wav" ||
		!strings.Contains(r.stderr, "in quarantine or forgotten") {
		t.Errorf("got %+v, said %s", got, r.stderr)
	}
	if have := whats(got); !slices.Equal(have, []string{
		"2026-11-23T09:59:00Z all received", "2026-11-23T10:00:00Z backup stored", "2026-11-23T10:00:01Z primary stored",
	}) {
		t.Errorf("got %q", have)
	}
	if r := b.ok("recording", "show", "rec-1"); !strings.Contains(r.stdout, "bucket-primary/recordings/rec-1.wav") || !strings.Contains(r.stdout, "AT ") {
		t.Errorf("as text: %s", r.stdout)
	}
}

func TestRecordingShowTellsLettersAndRetries(t *testing.T) {
	b := newBed(t)
	l, ctx := b.ledger(), t.Context()
	b.store("emea/rec-1", tier.Backup, storedAt())
	if _, err := l.Fail(ctx, "emea/rec-1", tier.Primary, ledger.Message{Stream: queue.Recordings, Sequence: 1}, ledger.Failure{At: storedAt()}); err != nil {
		t.Fatal(err)
	}
	if err := l.Letter(ctx, "emea/rec-1", tier.Primary, "source_gone"); err != nil {
		t.Fatal(err)
	}
	got := decode[history.Recording](t, b.ok("recording", "show", "emea/rec-1", "-o", "ndjson").stdout)
	if got.Status != ledger.Partial || got.RetryCount != 1 || got.Primary != nil {
		t.Errorf("got %+v", got)
	}
	have := whats(got)
	if len(have) != 4 || have[2] != " primary handed back for a failure, 1 in all" || have[3] != " primary dead letter: source_gone" {
		t.Errorf("got %q", have)
	}
}

// A letter of contradiction stays beside two good copies until it is discarded; the ledger has none of it by then.
func TestRecordingShowTellsOpenLettersOfARecordingThatBothTiersHold(t *testing.T) {
	for name, redis := range map[string]bool{"the ledger knows it": true, "the streams alone know it": false} {
		t.Run(name, func(t *testing.T) {
			b := provisioned(t)
			want := ledger.Failed
			if redis {
				want = ledger.Completed
				b.store("rec-1", tier.Primary, storedAt())
				b.store("rec-1", tier.Backup, storedAt())
			}
			b.giveEvent(tier.Backup, queue.DigestConflict, 1, recordingEvent("default", "rec-1", 1))
			b.giveEvent(tier.Backup, queue.DigestConflict, 2, recordingEvent("default", "rec-1", 2))
			got := decode[history.Recording](t, b.ok("recording", "show", "rec-1", "-o", "json").stdout)
			if got.Status != want || len(got.Open) != 2 || got.Open[0].Sequence != 1 || got.Open[1].Reason != queue.DigestConflict || got.Open[1].Tier != tier.Backup {
				t.Errorf("%s with %+v", got.Status, got.Open)
			}
			if out := b.ok("recording", "show", "rec-1").stdout; !strings.Contains(out, "letter 2, backup: digest_conflict, given up ") {
				t.Errorf("as text: %s", out)
			}
			b.ok("dlq", "discard", "--id", "rec-1", "--reason", string(queue.DigestConflict), "--yes")
			if !redis {
				return
			}
			r := b.ok("recording", "show", "rec-1", "-o", "json")
			if got := decode[history.Recording](t, r.stdout); got.Status != want || got.Open == nil || len(got.Open) != 0 {
				t.Errorf("discarded, but %s with %+v", got.Status, got.Open)
			}
		})
	}
}

func TestRecordingShowFallsBackToTheStream(t *testing.T) {
	for name, redis := range map[string]string{"Redis has no record": "", "Redis is away": "redis://" + nowhere + "/0"} {
		t.Run(name, func(t *testing.T) {
			b := provisioned(t)
			b.accept(queue.Both, recordingEvent("default", "rec-0", 1))
			b.accept(queue.Both, recordingEvent("emea", "rec-1", 1))
			b.accept(queue.Both, recordingEvent("default", "rec-1", 1))
			b.giveEvent(tier.Primary, queue.SourceGone, 3, recordingEvent("default", "rec-1", 1))
			b.ok("dlq", "replay", "--yes")
			if redis != "" {
				b.env["TWINREEL_REDIS_URL"] = redis
			}
			r := b.ok("recording", "show", "rec-1", "-o", "json")
			got := decode[history.Recording](t, r.stdout)
			if got.Status != ledger.Pending || got.RecordingID != "rec-1" || got.IdempotencyKey != "rec-1" || got.Primary != nil || got.Backup != nil {
				t.Errorf("got %+v", got)
			}
			if len(got.Timeline) != 2 || got.Timeline[0].What != "received" || !strings.HasPrefix(got.Timeline[1].What, "replayed, by ") || got.Timeline[1].Tier != "primary" {
				t.Errorf("got %q", whats(got))
			}
			if !strings.Contains(r.stderr, "Redis") || strings.Contains(r.stdout, "s3cret") {
				t.Errorf("said %s", r.stderr)
			}
		})
	}
}

func TestRecordingShowSearchesTheNewestEventsOnly(t *testing.T) {
	b := provisioned(t)
	b.accept(queue.Both, recordingEvent("default", "rec-old", 1))
	b.accept(queue.Both, recordingEvent("default", "rec-edge", 1))
	body := []byte(`{"data":{"idempotencyKey":"filler"}}`)
	for range history.Newest - 2 {
		if err := b.nc.Publish(queue.CompletedSubject(queue.Both), body); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := b.js.Publish(ctx, queue.CompletedSubject(queue.Both), body); err != nil { // acknowledged after all others
		t.Fatal(err)
	}
	b.ok("recording", "show", "rec-edge")
	b.wants(1, "recording rec-old: unknown", "recording", "show", "rec-old")
}

func TestRecordingShowOfTheUnknownFails(t *testing.T) {
	b := provisioned(t)
	b.accept(queue.Both, recordingEvent("emea", "rec-1", 1))
	r := b.wants(1, "unknown", "recording", "show", "rec-1", "-o", "json")
	if r.stdout != "" {
		t.Errorf("printed %s", r.stdout)
	}
	b.env["TWINREEL_NATS_URL"] = "nats://" + nowhere
	b.wants(1, "NATS cannot be reached", "recording", "show", "rec-1")
}

func TestRecordingIDsAreNeverGuessed(t *testing.T) {
	for _, id := range []string{"", "-", "../x", "a b", "a/b/c", "Emea/rec-1", "recording-complete/rec-1", "rec..1", strings.Repeat("x", 129)} {
		if r := runWith(t, nil, "recording", "show", "--", id); r.code != 2 || r.stdout != "" {
			t.Errorf("%q: got %+v", id, r)
		}
	}
	if r := runWith(t, nil, "recording", "show"); r.code != 2 {
		t.Errorf("no ID: got %+v", r)
	}
}
