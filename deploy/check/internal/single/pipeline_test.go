package single

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
)

// bed is a server as install leaves it, running: the shipped units, configuration and environment files, against the harness's
// stores in place of the clouds.
type bed struct {
	root     string
	platform *platform
	running  map[string]*service
}

// sourceHere is for tests alone: media come from this machine, by plain HTTP.
func sourceHere() map[string]string {
	return map[string]string{"TWINREEL_SOURCE_ALLOWED_CIDRS": "127.0.0.0/8", "TWINREEL_SOURCE_ALLOW_HTTP": "true"}
}

func newBed(t *testing.T) *bed {
	t.Helper()
	cert, key, pool := certificate(t)
	root := stage(t, map[string]string{
		"HOST": "localhost", "TLS_CERT": cert, "TLS_KEY": key,
		"S3_BUCKET": need(t, "S3_BUCKET"), "S3_REGION": need(t, "S3_REGION"), "S3_ENDPOINT": need(t, "S3_ENDPOINT"),
		"S3_WORKER_KEY_ID": need(t, "S3_WRITER_ACCESS_KEY"), "S3_WORKER_SECRET": need(t, "S3_WRITER_SECRET_KEY"),
		"S3_RECONCILER_KEY_ID": need(t, "S3_READER_ACCESS_KEY"), "S3_RECONCILER_SECRET": need(t, "S3_READER_SECRET_KEY"),
		"AZURE_CONTAINER_URL": need(t, "AZURE_SERVICE_URL") + "/" + need(t, "AZURE_CONTAINER"),
		"AZURE_WORKER_SAS":    writerSAS(t), "AZURE_RECONCILER_KEY": need(t, "AZURE_ACCOUNT_KEY"),
	})
	ports := movePorts(t, root)
	b := &bed{root: root, platform: newPlatform(t, root, ports["443"], pool), running: map[string]*service{}}
	// What was moved still fits together.
	if err := CheckServers(load(t, root)); err != nil {
		t.Fatal(err)
	}
	b.start(t, "nats", "redis")
	provision(t, root)
	b.start(t, Services()[:4]...)
	return b
}

func (b *bed) start(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		var more map[string]string
		if strings.HasPrefix(name, "worker-") {
			more = sourceHere()
		}
		b.running[name] = start(t, b.root, name, more)
	}
}

func (b *bed) stop(names ...string) {
	for _, name := range names {
		b.running[name].stop()
	}
}

// record is what is told of a recording.
type record struct {
	Status                        string
	SHA256                        string
	PrimaryStorage, BackupStorage *struct{ Key string }
}

func (b *bed) record(t *testing.T, id string) (record, error) {
	t.Helper()
	var r record
	out, err := operator(t, b.root, "recording", "show", id, "-o", "json")
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(out, &r)
}

// completed waits until both copies are verified.
func (b *bed) completed(t *testing.T, id string) {
	t.Helper()
	await(t, "two verified copies of "+id, func() error {
		r, err := b.record(t, id)
		if err != nil {
			return err
		}
		if r.Status != "completed" || r.PrimaryStorage == nil || r.BackupStorage == nil {
			return fmt.Errorf("it is %+v", r)
		}
		if sum := sha256.Sum256(wave(id)); r.SHA256 != hex.EncodeToString(sum[:]) {
			return fmt.Errorf("it has the sha256 %s", r.SHA256)
		}
		return nil
	})
}

func newID() string { return "single-" + strings.ToLower(rand.Text()[:12]) }

// given a bare server on which install ran, when its services start as their units say and the platform sends a webhook, then
// both copies are verified, and doctor finds nothing that is the server's own fault.
func TestABareServerMakesAVerifiedPair(t *testing.T) {
	b := newBed(t)
	id := newID()
	b.platform.send(id)
	b.completed(t, id)

	out, err := operator(t, b.root, "doctor", "-o", "json")
	var ended *exec.ExitError
	if err != nil && (!errors.As(err, &ended) || ended.ExitCode() != 3) {
		t.Fatal(err)
	}
	var checks []struct{ Name, Verdict, Found string }
	if err := json.Unmarshal(out, &checks); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, c := range checks {
		switch {
		case c.Name == "nats.replicas": // one server, and it says so
			seen++
			if c.Verdict != "warn" {
				t.Errorf("%s: %s, %s", c.Name, c.Verdict, c.Found)
			}
		case ours(c.Name):
			seen++
			if c.Verdict != "pass" {
				t.Errorf("%s: %s, %s", c.Name, c.Verdict, c.Found)
			}
		}
	}
	if seen < 10 {
		t.Errorf("doctor looked at %d things of the server's own:\n%s", seen, out)
	}
	for name, s := range b.running {
		if text, err := os.ReadFile(s.log); err != nil || strings.Contains(string(text), "Violation") {
			t.Errorf("%s: %v, or a program was refused something:\n%s", name, err, s.tail())
		}
	}
}

// ours tells whether a check of doctor's is of what install lays out; the others are of the stores, which are the harness's.
func ours(name string) bool {
	for _, prefix := range []string{"nats.", "redis.", "webhook", "primary.identities", "worker-primary.other-cloud", "worker-backup.other-cloud", "worker-primary.origins", "worker-backup.origins"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// given a recording that was accepted and one that is stored, when the queue's folder is copied, destroyed and put back, then
// the same messages and consumers are there, the accepted recording gets its copies, and nothing is fetched or stored twice.
func TestTheQueueComesBackFromItsBackup(t *testing.T) {
	b := newBed(t)
	before, waiting := newID(), newID()
	b.platform.send(before)
	b.completed(t, before)
	b.stop("worker-primary", "worker-backup")
	b.platform.send(waiting)
	b.stop("ingress", "reconciler")
	was := b.queue(t)

	copied := filepath.Join(t.TempDir(), "queue.tar")
	if out, err := b.script(t, "backup", copied); err == nil || !strings.Contains(out, "open: stop it first") {
		t.Fatalf("a running server was copied: %v\n%s", err, out)
	}
	b.stop("nats")
	if out, err := b.script(t, "backup", copied); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	folder := filepath.Join(b.root, "var", "lib", "twinreel", "nats")
	b.mustNotBeReadable(t, folder, waiting)
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	b.refusesADamagedCopy(t, copied)
	if out, err := b.script(t, "restore", copied); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b.start(t, "nats")
	await(t, "the queue as it was", func() error {
		if diff := was.differs(b.queue(t)); diff != "" {
			return errors.New(diff)
		}
		return nil
	})

	provision(t, b.root)
	b.start(t, Services()[:4]...)
	b.completed(t, waiting)
	b.completed(t, before)
	stored := b.stored(t)
	for _, id := range []string{before, waiting} {
		if n := b.platform.fetched(id); n != 2 {
			t.Errorf("%s was fetched %d times, want once for each tier", id, n)
		}
		for _, tier := range []string{"primary", "backup"} {
			if n := stored[tier+" "+id]; n != 1 {
				t.Errorf("%s was stored %d times in %s", id, n, tier)
			}
		}
	}
}

// script runs one of the scripts on the bed's root, and returns what it said.
func (b *bed) script(t *testing.T, name, file string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), repo.Path(t, "deploy/single", name), "--root", b.root, file).CombinedOutput()
	return string(out), err
}

// mustNotBeReadable looks that the folder is encrypted: a recording's ID is in no file of it.
func (b *bed) mustNotBeReadable(t *testing.T, folder, id string) {
	t.Helper()
	files := contents(t, folder)
	if len(files) == 0 {
		t.Error("the queue has no files")
	}
	for name, text := range files {
		if strings.Contains(text, id) {
			t.Errorf("%s holds the ID of a recording in the clear", name)
		}
	}
}

// refusesADamagedCopy holds restore against a copy with one byte changed.
func (b *bed) refusesADamagedCopy(t *testing.T, whole string) {
	t.Helper()
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	damaged := filepath.Join(t.TempDir(), "damaged.tar")
	if err := os.WriteFile(damaged, data, 0o600); err != nil {
		t.Fatal(err)
	}
	copyFile(t, whole+".sha256", damaged+".sha256", 0o600)
	if out, err := b.script(t, "restore", damaged); err == nil || !strings.Contains(out, "checksum differs") {
		t.Errorf("a damaged copy was put back: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(b.root, "var", "lib", "twinreel", "nats")); err == nil {
		t.Error("a refused restore left a folder")
	}
}
