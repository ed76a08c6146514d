package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/fetch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/seal"
	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/daemon"
)

// A daemon on the real servers seals; the commands show, prove and hand out what it sealed. All in one world, since starting
// one is what takes the time.
func TestTheSealedLogIsShownProvenAndHandedOut(t *testing.T) {
	b := provisioned(t).withStores()
	p := queue.NewPublisher(b.nc, b.js)
	size := int64(7)
	for _, tr := range tier.All() {
		err := p.Audit(t.Context(), event.Audit{
			Kind: event.AuditStored, Tier: tr.String(), Time: time.Now(), MsgID: event.DeliveryID(event.AuditStored, tr.String(), queue.Recordings, 1),
			Data: event.AuditData{Tier: tr.String(), IdempotencyKey: "emea/rec-1", ObjectKey: "recordings/emea/rec-1.wav", Size: &size, Bucket: "b"},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	b.wants(1, "not in the sealed log", "audit", "show", "emea/rec-1")
	s := b.sealer()
	if err := s.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := string(b.auditEpoch())

	shown := decode[[]standing](t, b.ok("audit", "show", "-o", "json").stdout)
	if own := ofEpoch(shown, e); len(own) != 2 || own[0].Size != 3 || own[1].Size != 3 || own[0].Root != own[1].Root {
		t.Fatalf("got %+v", shown)
	}
	entries := decode[[]entry](t, b.ok("audit", "show", "emea/rec-1", "--store", "backup", "-o", "json").stdout)
	if n := len(entries); n < 2 || entries[n-1].Epoch != e || entries[n-1].Kind != "stored" || entries[n-1].Object != "recordings/emea/rec-1.wav" {
		t.Errorf("got %+v", entries)
	}

	dir := t.TempDir()
	for name, store := range s.Stores {
		copied := filepath.Join(dir, name.String())
		download(t, store.Reader, "audit/", copied)
		public := b.verifierKey()
		remember := filepath.Join(dir, "remembered")
		v := decode[verdict](t, runWith(t, nil, "audit", "verify", "--dir", copied, "--key", public, "--remember", remember, "-o", "json").stdout)
		if !v.Whole || len(v.Reports) != 1 || len(v.Reports[0].Epochs) == 0 || v.Reports[0].Epochs[len(v.Reports[0].Epochs)-1].Size != 3 {
			t.Errorf("%s: got %+v", name, v)
		}
		tile := filepath.Join(copied, "audit", e, "tile", "8", "data", "000.p", "3")
		body, err := os.ReadFile(tile)
		if err != nil {
			t.Fatal(err)
		}
		body[30] ^= 1
		if err := os.WriteFile(tile, body, 0o600); err != nil {
			t.Fatal(err)
		}
		r := runWith(t, nil, "audit", "verify", "--dir", copied, "--key", public, "--checkpoint", remember)
		if r.code != 1 || !strings.Contains(r.stdout, "tile/8/data/000.p/3") || !strings.Contains(r.stderr, "not whole") {
			t.Errorf("%s, a byte flipped: %+v", name, r)
		}
	}

	out := filepath.Join(dir, "evidence.zip")
	g := decode[gathered](t, b.ok("audit", "evidence", "emea/rec-1", "--out", out, "-o", "json").stdout)
	if g.Leaves < 2 || len(g.Answers) != 4 || *g.Answers[0].Exists || g.Record.BackupStorage == nil {
		t.Errorf("got %+v", g)
	}
	b.wants(1, "exists", "audit", "evidence", "emea/rec-1", "--out", out)
}

// sealer seals this world's stream into the real stores, as the daemon's leader does.
func (b *bed) sealer() *seal.Sealer {
	b.t.Helper()
	var c config.Run
	if err := settings.Load(&c, func(name string) (string, bool) { v, ok := b.env[name]; return v, ok }); err != nil {
		b.t.Fatal(err)
	}
	b.t.Setenv("AWS_ACCESS_KEY_ID", b.env["AWS_ACCESS_KEY_ID"])
	b.t.Setenv("AWS_SECRET_ACCESS_KEY", b.env["AWS_SECRET_ACCESS_KEY"])
	stores, err := daemon.OpenStores(b.t.Context(), c.Stores, func(string) {})
	if err != nil {
		b.t.Fatal(err)
	}
	s, err := daemon.NewSealer(b.t.Context(), daemon.Sealing{
		JS: b.js, Publisher: b.publisher, Stores: c.Stores, Readers: stores, Keys: c.Audit.Keys, TTL: c.Redis.TTL, Log: zap.NewNop(),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bed) auditEpoch() epoch.ID {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), queue.Audit)
	if err != nil {
		b.t.Fatal(err)
	}
	return epoch.Of(s.CachedInfo().Created)
}

func (b *bed) verifierKey() string {
	b.t.Helper()
	k, err := checkpoint.ParseKeys([]string{auditKey})
	if err != nil {
		b.t.Fatal(err)
	}
	return k.Public()[0]
}

func ofEpoch(list []standing, e string) (out []standing) {
	for _, s := range list {
		if s.Epoch == e {
			out = append(out, s)
		}
	}
	return out
}

// download copies what is below a prefix into a directory.
func download(t *testing.T, r objstore.Reader, prefix, dir string) {
	t.Helper()
	for info, err := range r.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		body, err := fetch.All(t.Context(), r, info.Key)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(info.Key))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
