package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/intake"
)

// webhooks writes webhook bodies of these recordings into a file, and returns its name.
func webhooks(t *testing.T, lines ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "webhooks.ndjson")
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func body(id string) string {
	return fmt.Sprintf(`{"event":"RECORDING_COMPLETED","recordingId":%q,"mediaFormat":"wav","duration":1,"participants":[],"mediaUrl":"https://cdn.example.com/a?signature=s3cret"}`, id)
}

func (b *bed) accepted() (out []string) {
	b.t.Helper()
	for _, m := range b.stored(queue.Recordings, queue.CompletedSubject(queue.Both)) {
		e, err := event.Parse(m.Data)
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, e.Data.IdempotencyKey)
	}
	return out
}

func TestImportPublishesWhatTheLedgerLacks(t *testing.T) {
	b := provisioned(t)
	b.accept(queue.Primary, recordingEvent("emea", "in-stream", 1))
	b.giveEvent(tier.Backup, queue.SourceGone, 1, recordingEvent("emea", "dead", 1))
	for bucket, id := range map[string]string{queue.Digests: "agreed", queue.Tombstones: "erased"} {
		kv, err := b.js.KeyValue(t.Context(), bucket)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kv.Create(t.Context(), event.HashKey("emea/"+id), []byte(`{"forgotten":true}`)); err != nil {
			t.Fatal(err)
		}
	}
	file := webhooks(t, body("in-stream"), body("dead"), body("agreed"), body("erased"), body("new-1"), body("new-2"), `{"event":"OTHER"}`)
	dry := decode[intake.Result](t, b.wants(0, "nothing was published", "import", "--source", "emea", file, "--dry-run", "-o", "json").stdout)
	if dry.Accepted != 2 || dry.Known != 4 || dry.Ignored != 1 || len(b.accepted()) != 0 {
		t.Errorf("dry run: got %+v", dry)
	}
	r := b.wants(0, "the stores are not asked", "import", "--source", "emea", file, "--yes", "-o", "json")
	if got := decode[intake.Result](t, r.stdout); got.Accepted != 2 || got.Known != 4 || got.Ignored != 1 || got.Refused != 0 {
		t.Errorf("got %+v", got)
	}
	if got := strings.Join(b.accepted(), " "); got != "emea/new-1 emea/new-2" {
		t.Errorf("published %s", got)
	}
	again := decode[intake.Result](t, b.ok("import", "--source", "emea", file, "--yes", "-o", "json").stdout)
	if again.Accepted != 0 || again.Known != 6 || len(b.accepted()) != 2 {
		t.Errorf("again: got %+v", again)
	}
	// Another source's recording of the same ID is another recording.
	if got := decode[intake.Result](t, b.ok("import", "--source", "default", file, "--yes", "-o", "json").stdout); got.Accepted != 6 {
		t.Errorf("another source: got %+v", got)
	}
}

func TestImportTellsEachRefusedLine(t *testing.T) {
	b := provisioned(t)
	file := webhooks(t, body("rec-1"), "hello", strings.Replace(body("rec-2"), "wav", "doc", 1), body("rec-3"))
	r := b.wants(1, "2 lines were refused", "import", "--source", "default", file, "--yes")
	if !strings.Contains(r.stdout, "accepted 2") || !strings.Contains(r.stdout, "2     the body is not JSON") || !strings.Contains(r.stdout, "3     field mediaFormat") ||
		strings.Contains(r.stdout+r.stderr, "s3cret") || len(b.accepted()) != 2 {
		t.Errorf("got %+v", r)
	}
}

func TestImportAsksBeforeItPublishes(t *testing.T) {
	b := provisioned(t)
	file := webhooks(t, body("rec-1"))
	b.wants(2, "--yes", "import", "--source", "default", file)
	b.wants(2, "--yes", "import", "--source", "default", "-")
	b.wants(2, "--source", "import", "--source", "Emea", file, "--yes")
	b.wants(2, "no such file", "import", "--source", "default", file+".not", "--yes")
	if b.count(queue.Recordings) != 0 {
		t.Error("something was published")
	}
	b.env["TWINREEL_PARTICIPANTS"] = "some"
	b.wants(2, "TWINREEL_PARTICIPANTS", "import", "--source", "default", file, "--yes")
}

// Two import the same file at the same time.
func TestTwoImportsAtOncePublishEachOnce(t *testing.T) {
	const many = 100
	b := provisioned(t)
	var lines []string
	for i := range many {
		lines = append(lines, body(fmt.Sprint("rec-", i)))
	}
	args := []string{"import", "--source", "default", webhooks(t, lines...), "--yes", "--rate", "1000"}
	b.atOnce(args, args)
	if got := len(b.accepted()); got != many {
		t.Errorf("%d events, want %d", got, many)
	}
}
