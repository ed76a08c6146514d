package evidence_test

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/audit/audittest"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/evidence"
	"github.com/twinreel/twinreel/reconciler/internal/audit/tree"
)

// written writes the evidence of rec-1 in a log of two epochs, and unpacks it.
func written(t *testing.T) map[string][]byte {
	t.Helper()
	keys, _ := audittest.Keys(t)
	s := memstore.New("b")
	begun := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	one := audittest.New(t, s, keys, begun)
	one.Stored(300)
	one.Mark("")
	two := audittest.New(t, s, keys, begun.Add(time.Hour))
	two.Stored(1)
	two.Say(event.AuditConfirmed, tier.Backup.String(), audittest.Recording("rec-1"))
	two.Mark(tree.After(one.Head()))
	found, err := (&audit.Log{Keys: keys, Stores: map[tier.Tier]objstore.Reader{tier.Primary: s}}).FindIn(t.Context(), "rec-1")
	if err != nil || len(found) != 2 {
		t.Fatalf("%+v, %v", found, err)
	}
	e := evidence.Evidence{Found: found, Made: begun}
	var leaves []audit.Leaf
	for _, f := range found {
		leaves, e.Keys = append(leaves, f.Leaves...), append(e.Keys, keys.Signer(f.Note))
	}
	e.Record = evidence.RecordOf("rec-1", leaves, begun)
	if e.Proofs, err = evidence.Gather(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := e.Write(&out); err != nil {
		t.Fatal(err)
	}
	if path := os.Getenv("TWINREEL_TEST_EVIDENCE"); path != "" { // for a look at it with other tools
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return unpacked(t, out.Bytes())
}

func unpacked(t *testing.T, b []byte) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if out[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// The file alone, without our log, proves each line.
func TestTheEvidenceProvesEachLineByItself(t *testing.T) {
	files := written(t)
	proven := 0
	for name, line := range files {
		dir, rest, _ := strings.Cut(name, "/")
		number, isLeaf := strings.CutPrefix(rest, "leaf-")
		if !isLeaf {
			continue
		}
		var p struct {
			Leaf, Size int64
			Hashes     []tlog.Hash
		}
		if err := json.Unmarshal(files[dir+"/proof-"+number], &p); err != nil {
			t.Fatal(err)
		}
		c, err := checkpoint.Unsigned(files[dir+"/checkpoint"])
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(p.Hashes, p.Size, c.Root, p.Leaf, tlog.RecordHash(line)); err != nil || p.Size != c.Size {
			t.Errorf("%s: %v", name, err)
		}
		block, _ := pem.Decode(files[dir+"/key.pem"])
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		public, ok := key.(ed25519.PublicKey)
		if !ok || !ed25519.Verify(public, files[dir+"/checkpoint.body"], files[dir+"/checkpoint.sig"]) {
			t.Errorf("%s: the signature does not fit", name)
		}
		proven++
	}
	if proven != 3 {
		t.Errorf("%d lines, want 3", proven)
	}
	var r evidence.Record
	if err := json.Unmarshal(files["record.json"], &r); err != nil || r.PrimaryStorage == nil || r.BackupStorage == nil || len(r.Timeline) != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestAStoreThatDoesNotAnswerIsToldApartFromOneThatHasNothing(t *testing.T) {
	has, away := memstore.New("p"), memstore.New("b")
	has.Plant("k", memstore.Object{Body: []byte("x")})
	away.Before(memstore.Stat, memstore.Always(fault.New(fault.Unavailable, fault.Store, "stat k", errors.New("away"))))
	got := evidence.Ask(t.Context(), map[tier.Tier]objstore.Reader{tier.Primary: has, tier.Backup: away}, []string{"k", "none"}, time.Now)
	if len(got) != 4 || !*got[0].Exists || got[0].CRC64NVME == "" || *got[1].Exists || got[2].Exists != nil || got[2].Error == "" {
		t.Errorf("got %+v", got)
	}
}
