package cli

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/rebuild"
)

// given a recording whose copy the real store has, when Redis is lost and rebuilt, then it is shown just as before.
func TestAfterARebuildARecordingIsShownAsBefore(t *testing.T) {
	b, id := storedIn(t, "RIFF one", tier.Backup)
	e := recordingEvent("default", id, 1)
	b.accept(queue.Both, e)
	d := digest.Of([]byte("RIFF one"))
	info, err := b.backup().Stat(t.Context(), e.Data.ObjectKey)
	if err != nil {
		t.Fatal(err)
	}
	at, size := time.Now().UTC(), d.Size
	side := ledger.Stored{Bucket: b.env["TWINREEL_AZURE_CONTAINER"], Key: e.Data.ObjectKey, ETag: info.ETag, Timestamp: at}
	if _, err := b.ledger().Finished(t.Context(), id, tier.Backup, ledger.Copy{RecordingID: id, ReceivedAt: e.Data.ReceivedAt, SHA256: d.SHA256, Size: size, Stored: side}); err != nil {
		t.Fatal(err)
	}
	err = b.publisher.Audit(t.Context(), event.Audit{Kind: event.AuditStored, Tier: "backup", Time: at, MsgID: "stored/backup/RECORDINGS/1", Data: event.AuditData{
		Tier: "backup", IdempotencyKey: id, ObjectKey: side.Key, Bucket: side.Bucket, ETag: side.ETag, SHA256: d.SHA256, CRC64NVME: digest.EncodeCRC64(d.CRC64), Size: &size,
	}})
	if err != nil {
		t.Fatal(err)
	}
	before := b.ok("recording", "show", id, "-o", "json").stdout
	b.env["TWINREEL_REDIS_PREFIX"] = "t" + rand.Text() // lost
	b.wants(2, "add --yes", "ledger", "rebuild")
	if r := decode[rebuild.Result](t, b.ok("ledger", "rebuild", "--dry-run", "-o", "json").stdout); r.Copies == 0 || r.Written != 0 {
		t.Errorf("a dry run: %+v", r)
	}
	if r := decode[rebuild.Result](t, b.ok("ledger", "rebuild", "--yes", "-o", "json").stdout); r.Copies != 1 || r.Events != 1 || r.Written == 0 {
		t.Errorf("got %+v", r)
	}
	if after := b.ok("recording", "show", id, "-o", "json"); after.stdout != before || strings.Contains(after.stderr, "Redis") {
		t.Errorf("is\n%s\nwas\n%s", after.stdout, before)
	}
	b.env["TWINREEL_REDIS_URL"] = "redis://" + nowhere + "/0"
	b.wants(1, "repeat the command", "ledger", "rebuild", "--yes")
}
