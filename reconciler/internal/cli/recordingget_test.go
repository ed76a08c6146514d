package cli

import (
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

// primary opens the real primary store for writing. It must be called before inProcess, whose identity is the reader's.
func (b *bed) primary() objstore.Writer {
	b.t.Helper()
	b.t.Setenv("AWS_ACCESS_KEY_ID", testenv.Need(b.t, testenv.S3WriterKey))
	b.t.Setenv("AWS_SECRET_ACCESS_KEY", testenv.Need(b.t, testenv.S3WriterSecret))
	w, err := s3store.Open(b.t.Context(), s3store.Config{
		Endpoint: b.env["TWINREEL_S3_ENDPOINT"], Region: b.env["TWINREEL_S3_REGION"], Bucket: b.env["TWINREEL_S3_BUCKET"], PathStyle: true, SSE: "none",
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := w.Stat(b.t.Context(), "metadata/none.json"); err == nil { // its credentials are read once
		b.t.Fatal("an object that nobody stored")
	}
	return w
}

// stored returns a bed with a recording in these tiers' real stores, and its ID.
func storedIn(t *testing.T, media string, tiers ...tier.Tier) (*bed, string) {
	t.Helper()
	b := provisioned(t).withStores()
	id := "rec-" + strings.ToLower(rand.Text())
	for _, tr := range tiers {
		w := b.backup()
		if tr == tier.Primary {
			w = b.primary()
		}
		put(t, w, recordingEvent("default", id, 1), []byte(media))
	}
	return b.inProcess(), id
}

func TestRecordingGetFetchesAVerifiedCopyFromWhicheverTierIsWell(t *testing.T) {
	media := "RIFF" + strings.Repeat("the whole of it ", 1<<16)
	for name, c := range map[string]struct {
		in   []tier.Tier
		args []string
		from tier.Tier
		said string
	}{
		"primary first":            {[]tier.Tier{tier.Primary, tier.Backup}, nil, tier.Primary, "read from primary"},
		"the one asked for":        {[]tier.Tier{tier.Primary, tier.Backup}, []string{"--tier", "backup"}, tier.Backup, "read from backup"},
		"the one that is there":    {[]tier.Tier{tier.Backup}, nil, tier.Backup, "not from primary"},
		"by the sibling's silence": {[]tier.Tier{tier.Primary}, nil, tier.Primary, "store backup has no sidecar"},
	} {
		t.Run(name, func(t *testing.T) {
			b, id := storedIn(t, media, c.in...)
			file := filepath.Join(t.TempDir(), "call.wav")
			r := b.ok(append([]string{"recording", "get", id, "--out", file, "-o", "json"}, c.args...)...)
			g := decode[got](t, r.stdout)
			if g.Tier != c.from || g.File != file || g.Size != int64(len(media)) || !strings.Contains(r.stderr, c.said) {
				t.Errorf("got %+v, said %s", g, r.stderr)
			}
			if b, err := os.ReadFile(file); err != nil || string(b) != media {
				t.Errorf("%d bytes, %v", len(b), err)
			}
			reads := b.stored(queue.Audit, "audit.read.*")
			var a struct{ Data event.AuditData }
			if len(reads) != 1 || json.Unmarshal(reads[0].Data, &a) != nil || a.Data.By != operator() || a.Data.Tier != c.from.String() || a.Data.IdempotencyKey != id {
				t.Errorf("%d audited, %+v", len(reads), a.Data)
			}
		})
	}
}

func TestRecordingGetHandsOutNothingUnproven(t *testing.T) {
	b, id := storedIn(t, "RIFF one")
	e := recordingEvent("default", id, 1)
	put(t, b.backup(), e, []byte("RIFF two")) // and primary has nothing
	dir := t.TempDir()
	file := filepath.Join(dir, "call.wav")
	b.wants(1, "primary: ", "recording", "get", id, "--out", file, "--tier", "primary")
	b.wants(1, "no store has a sidecar", "recording", "get", "rec-none", "--out", file)
	if err := b.js.DeleteStream(t.Context(), queue.Audit); err != nil {
		t.Fatal(err)
	}
	b.wants(1, "cannot be audited, so nothing is read", "recording", "get", id, "--out", file)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// given other bytes of the same length in primary, under an agreed sidecar, when it is fetched, then backup's are, and it is said.
func TestRecordingGetSaysWhichCopyIsEvidence(t *testing.T) {
	b := provisioned(t).withStores()
	id := "rec-" + strings.ToLower(rand.Text())
	e := recordingEvent("default", id, 1)
	put(t, b.backup(), e, []byte("RIFF one"))
	agreed, err := event.NewEntry(e, digest.Of([]byte("RIFF one")))
	if err != nil {
		t.Fatal(err)
	}
	w := b.primary()
	for key, body := range map[string][]byte{e.Data.ObjectKey: []byte("RIFF two"), event.SidecarKey(id): agreed.Sidecar} {
		if _, err := w.Put(t.Context(), key, body, digest.Of(body), objstore.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	b.inProcess()
	file := filepath.Join(t.TempDir(), "call.wav")
	r := b.ok("recording", "get", id, "--out", file, "-o", "ndjson")
	if g := decode[got](t, r.stdout); g.Tier != tier.Backup || !strings.Contains(r.stderr, "evidence: the copy in primary differs") {
		t.Errorf("got %+v, said %s", g, r.stderr)
	}
	b.wants(1, "not what was agreed on", "recording", "get", id, "--out", file, "--force", "--tier", "primary")
	if b, err := os.ReadFile(file); err != nil || string(b) != "RIFF one" {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestRecordingGetReplacesNoFileUnasked(t *testing.T) {
	b, id := storedIn(t, "RIFF one", tier.Backup)
	file := filepath.Join(t.TempDir(), "call.wav")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.wants(1, "exists already", "recording", "get", id, "--out", file)
	if n := len(b.stored(queue.Audit, "audit.read.*")); n != 0 {
		t.Errorf("%d reads audited of none", n)
	}
	b.ok("recording", "get", id, "--out", file, "--force")
	if b, err := os.ReadFile(file); err != nil || string(b) != "RIFF one" {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestRecordingGetOfTheForgottenIsRefused(t *testing.T) {
	b, id := storedIn(t, "RIFF one", tier.Backup)
	b.ok(forgetting(id)...)
	b.wants(1, "was forgotten", "recording", "get", id, "--out", filepath.Join(t.TempDir(), "call.wav"))
}

func TestRecordingGetRefusesWhatIsWrong(t *testing.T) {
	for words, args := range map[string][]string{
		"--out":        {"rec-1"},
		"a pipe":       {"rec-1", "--out", "-"},
		"--tier":       {"rec-1", "--out", "x", "--tier", "third"},
		"recording ID": {".x", "--out", "x"},
		"TWINREEL_S3":  {"rec-1", "--out", "x"},
	} {
		if r := runWith(t, nil, append([]string{"recording", "get"}, args...)...); r.code != 2 || !strings.Contains(r.stderr, words) {
			t.Errorf("%v: got %+v", args, r)
		}
	}
}
