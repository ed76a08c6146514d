package cli

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
	"github.com/twinreel/twinreel/reconciler/internal/history"
)

func forgetting(id string) []string {
	return []string{"recording", "forget", id, "--case", "GDPR-2026-118", "--reason", "erasure request", "--yes"}
}

// inProcess hands the store's credentials to this very process: the SDK reads them where no test can.
func (b *bed) inProcess() *bed {
	b.t.Helper()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		b.t.Setenv(name, b.env[name])
	}
	return b
}

func TestRecordingForgetRemovesWhatItMayAndTellsWhatIsLeft(t *testing.T) {
	b := provisioned(t).withStores().inProcess()
	id := "rec-" + strings.ToLower(rand.Text())
	e := recordingEvent("default", id, 1)
	b.accept(queue.Both, e)
	put(t, b.backup(), e, []byte("RIFF the media"))
	b.store(id, tier.Backup, storedAt())
	b.giveEvent(tier.Primary, queue.SourceGone, 1, e)
	r := b.ok(append(forgetting(id), "-o", "json")...)
	got := decode[erasure.Report](t, r.stdout)
	if got.Letters != 1 || got.Ledger != erasure.Cleared || len(got.Unseen) != 0 || got.Before || b.count(queue.DeadLetters) != 0 {
		t.Errorf("got %+v, said %s", got, r.stderr)
	}
	if len(got.Copies) != 2 || got.Copies[0].Tier != tier.Backup || got.Copies[0].Key != "metadata/"+id+".json" || got.Copies[1].Key != e.Data.ObjectKey || !strings.Contains(r.stderr, "still there") {
		t.Errorf("got %+v, said %s", got.Copies, r.stderr)
	}
	shown := decode[history.Recording](t, b.ok("recording", "show", id, "-o", "json").stdout)
	if shown.Status != ledger.Forgotten || shown.Backup == nil {
		t.Errorf("shown as %+v", shown)
	}
	if have := strings.Join(whats(shown), "\n"); strings.Count(have, "forgotten, case GDPR-2026-118, by "+operator()) != 1 || strings.Count(have, "forgotten") != 2 {
		t.Errorf("its timeline:\n%s", have) // the letter's removal says so, too
	}
	if text := b.ok(forgetting(id)...); !strings.Contains(text.stderr, "forgotten before") || !strings.Contains(text.stdout, "metadata/"+id+".json") {
		t.Errorf("once more: %+v", text)
	}
}

func TestRecordingForgetOfTheUnknownWarnsAndNeedsNATSAlone(t *testing.T) {
	b := provisioned(t)
	b.env["TWINREEL_REDIS_URL"] = "redis://" + nowhere + "/0"
	r := b.ok(forgetting("emea/rec-1")...)
	for _, want := range []string{"warning: nobody who answered knows", "Redis was not cleared", "store primary was not looked into"} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("want %q in\n%s", want, r.stderr)
		}
	}
	b.env["TWINREEL_REDIS_URL"] = testenv.Need(t, testenv.RedisURL)
	if got := decode[history.Recording](t, b.ok("recording", "show", "emea/rec-1", "-o", "json").stdout); got.Status != ledger.Forgotten || got.RecordingID != "rec-1" {
		t.Errorf("got %+v", got)
	}
	b.env["TWINREEL_NATS_URL"] = "nats://" + nowhere
	b.wants(1, "NATS cannot be reached", forgetting("rec-2")...)
}

func TestRecordingForgetRefusesWhatIsWrong(t *testing.T) {
	for words, args := range map[string][]string{
		"--case":       {"rec-1", "--reason", "x", "--yes"},
		"person's":     {"rec-1", "--case", "Ada Lovelace", "--reason", "x", "--yes"},
		"--reason":     {"rec-1", "--case", "c-1", "--yes"},
		"add --yes":    {"rec-1", "--case", "c-1", "--reason", "x"},
		"recording ID": {".x", "--case", "c-1", "--reason", "x", "--yes"},
	} {
		if r := runWith(t, nil, append([]string{"recording", "forget"}, args...)...); r.code != 2 || !strings.Contains(r.stderr, words) {
			t.Errorf("%v: got %+v", args, r)
		}
	}
}

// given a recording that was forgotten, when its webhook is imported, then it is known.
func TestAForgottenRecordingIsNotImported(t *testing.T) {
	b := provisioned(t)
	b.ok(forgetting("rec-1")...)
	digests, err := b.js.KeyValue(t.Context(), queue.Digests)
	if err != nil {
		t.Fatal(err)
	}
	if err := digests.Purge(t.Context(), event.HashKey("rec-1")); err != nil { // the tombstone alone says it
		t.Fatal(err)
	}
	r := b.ok("import", "--source", "default", webhooks(t, body("rec-1")), "--yes")
	if !strings.Contains(r.stdout, "known before 1") || b.count(queue.Recordings) != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestRecordingShowTellsOfTheQuarantine(t *testing.T) {
	b := provisioned(t)
	b.store("rec-1", tier.Backup, storedAt())
	book := b.book()
	got := decode[history.Recording](t, b.ok("recording", "show", "rec-1", "-o", "json").stdout)
	if got.Status != ledger.Quarantined || got.Backup == nil || !strings.Contains(strings.Join(whats(got), "\n"), "primary in quarantine for size_differs: 3 bytes, agreed 4") {
		t.Errorf("got %+v", got)
	}
	r, err := book.Get(t.Context(), "rec-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := book.Resolve(t.Context(), r, "ada", "looked"); err != nil {
		t.Fatal(err)
	}
	if got := decode[history.Recording](t, b.ok("recording", "show", "rec-1", "-o", "json").stdout); got.Status != ledger.Partial {
		t.Errorf("resolved: got %+v", got)
	}
}
