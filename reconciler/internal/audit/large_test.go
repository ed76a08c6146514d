package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/audit/audittest"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/evidence"
	"github.com/twinreel/twinreel/reconciler/internal/audit/folder"
	"github.com/twinreel/twinreel/reconciler/internal/audit/leaf"
	"github.com/twinreel/twinreel/reconciler/internal/audit/tree"
)

// leaves is how many leaves the large log has; TWINREEL_TEST_LEAVES=10000000 makes it as large as promised, in some minutes
// and some gigabytes below TMPDIR.
func leaves(t *testing.T) int64 {
	t.Helper()
	text := os.Getenv("TWINREEL_TEST_LEAVES")
	if text == "" {
		return 1<<16 + 1<<12 + 300
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// disk is a sink that writes into a directory.
type disk struct {
	dir  string
	keys checkpoint.Keys
}

func (d disk) Put(_ context.Context, key string, body []byte) error {
	path := filepath.Join(d.dir, filepath.FromSlash(key))
	err := os.WriteFile(path, body, 0o600)
	if os.IsNotExist(err) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = os.WriteFile(path, body, 0o600)
		}
	}
	return err
}

func (d disk) Flush(context.Context) error { return nil }

func (d disk) Checkpoint(ctx context.Context, c checkpoint.Checkpoint) error {
	c.Name = d.keys.Name()
	note, err := d.keys.Sign(c)
	if err != nil {
		return err
	}
	if c.Serial == 1 {
		if err := d.Put(ctx, c.Epoch.Marker(), note); err != nil {
			return err
		}
	}
	return d.Put(ctx, checkpoint.Key(c.Epoch, c.Serial), note)
}

// counted counts what is read.
type counted struct {
	objstore.Reader
	requests, bytes atomic.Int64
}

func (c *counted) Stat(ctx context.Context, key string) (objstore.Info, error) {
	c.requests.Add(1)
	return c.Reader.Stat(ctx, key)
}

func (c *counted) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	c.requests.Add(1)
	body, err := c.Reader.Open(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.TeeReader(body, sum{&c.bytes}), body}, nil
}

type sum struct{ n *atomic.Int64 }

func (s sum) Write(p []byte) (int, error) { s.n.Add(int64(len(p))); return len(p), nil }

// One recording among very many leaves: its evidence takes a moment, and little is read for it.
func TestOneRecordingAmongVeryManyLeavesIsFoundByReadingLittle(t *testing.T) {
	n, dir := leaves(t), t.TempDir()
	keys, _ := audittest.Keys(t)
	created := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	if err := os.Mkdir(filepath.Join(dir, "audit"), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := folder.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	b := tree.New(epoch.Of(created), disk{dir, keys}, f)
	for i := range n {
		l := leaf.Leaf{Sequence: uint64(i) + 1, Stored: created.Add(time.Duration(i) * time.Millisecond), MsgID: strconv.FormatInt(i, 10)}
		if l.Subject = queue.AuditSubject("stored", tier.All()[i%2].String()); i == n-1 || i%100_000 == 99_999 {
			l.Subject, l.Body = queue.AuditSubject(string(event.AuditMark), event.AuditAll), []byte("{}")
		} else {
			// every recording is told of twice by each tier, some thousands of leaves apart
			id := i/20_000*5_000 + i%5_000
			l.Body = fmt.Appendf(nil, `{"data":{"idempotencyKey":"rec-%d","objectKey":"recordings/rec-%d.wav","size":%d,"crc64nvme":"AAAAAAAAAAA="}}`, id, id, id)
		}
		if err := b.Add(t.Context(), tree.ItemOf(l)); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("sealed %d leaves in %.1f s", n, time.Since(began).Seconds())
	r := &counted{Reader: f}
	log := &audit.Log{Keys: keys, Stores: map[tier.Tier]objstore.Reader{tier.Backup: r}}
	for _, i := range []int64{0, n / 3, n - 2} {
		key := fmt.Sprintf("rec-%d", i/20_000*5_000+i%5_000)
		r.requests.Store(0)
		r.bytes.Store(0)
		began := time.Now()
		found, err := log.FindIn(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		proofs, err := evidence.Gather(t.Context(), found)
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v, %v", key, found, err)
		}
		var out bytes.Buffer
		e := evidence.Evidence{Found: found, Proofs: proofs, Keys: keys.Public(), Record: evidence.RecordOf(key, found[0].Leaves, began), Made: began}
		if err := e.Write(&out); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d leaves, evidence of %d bytes in %.3f s, %d requests, %d bytes read", key, len(found[0].Leaves), out.Len(), time.Since(began).Seconds(), r.requests.Load(), r.bytes.Load())
		if len(found[0].Leaves) == 0 || len(found[0].Leaves) > 4 || r.bytes.Load() > 5<<20 {
			t.Errorf("%s: %d leaves, %d bytes read", key, len(found[0].Leaves), r.bytes.Load())
		}
	}
	began = time.Now()
	lines, before := 0, ""
	for line, err := range log.Roster(t.Context()) {
		if err != nil || line.ObjectKey <= before {
			t.Fatalf("behind %s: %+v, %v", before, line, err)
		}
		before, lines = line.ObjectKey, lines+1
	}
	t.Logf("%d lines of the roster in %.1f s", lines, time.Since(began).Seconds())
}
