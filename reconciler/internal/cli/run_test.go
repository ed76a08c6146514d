package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/history"
)

// patience is how long a test waits for what should happen soon.
const patience = 30 * time.Second

func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

// auditKey signs the audit log of all tests: they share the stores, and so one log, in which each test's stream is an epoch.
const auditKey = "PRIVATE+KEY+audit.example.com+8390914a+AVJx0xb2HdHQhW2tDGJmIQm5R0D1gR3Qw715AFzVHb1k"

// withStores sets what `run` needs beyond the bed: both real stores under the reader's identity, and a key.
func (b *bed) withStores() *bed {
	b.t.Helper()
	for name, value := range map[string]string{
		"TWINREEL_S3_ENDPOINT": testenv.Need(b.t, testenv.S3Endpoint), "TWINREEL_S3_REGION": testenv.Need(b.t, testenv.S3Region),
		"TWINREEL_S3_BUCKET": testenv.Need(b.t, testenv.S3Bucket), "TWINREEL_S3_PATH_STYLE": "true",
		"AWS_ACCESS_KEY_ID": testenv.Need(b.t, testenv.S3ReaderKey), "AWS_SECRET_ACCESS_KEY": testenv.Need(b.t, testenv.S3ReaderSecret),
		"TWINREEL_AZURE_SERVICE_URL": testenv.Need(b.t, testenv.AzureServiceURL), "TWINREEL_AZURE_CONTAINER": testenv.Need(b.t, testenv.AzureContainer),
		"TWINREEL_AZURE_ACCOUNT_NAME": testenv.Need(b.t, testenv.AzureAccountName), "TWINREEL_AZURE_ACCOUNT_KEY": testenv.Need(b.t, testenv.AzureAccountKey),
		"TWINREEL_AUDIT_KEY": auditKey, "TWINREEL_ADMIN_ADDR": "127.0.0.1:0", "TWINREEL_API_ADDR": "127.0.0.1:0", "TWINREEL_DRAIN_TIMEOUT": "5s",
	} {
		b.env[name] = value
	}
	return b
}

// running is `reconciler run` as a process.
type running struct {
	t          *testing.T
	cmd        *exec.Cmd
	ended      chan struct{}
	mu         sync.Mutex
	said       bytes.Buffer
	api, admin string
}

// launch starts one, and waits until it listens.
func (b *bed) launch(env ...string) *running {
	b.t.Helper()
	d := &running{t: b.t, cmd: exec.Command(filepath.Join(testenv.Need(b.t, testenv.Bin), "reconciler"), "run"), ended: make(chan struct{})}
	for name, value := range b.env {
		d.cmd.Env = append(d.cmd.Env, name+"="+value)
	}
	d.cmd.Env = append(d.cmd.Env, env...)
	d.cmd.Stderr = d
	if err := d.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	go func() { defer close(d.ended); _ = d.cmd.Wait() }()
	b.t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		<-d.ended
		if b.t.Failed() {
			b.t.Logf("it said:\n%s", d.log())
		}
	})
	until(b.t, "it listens", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.api != "" && d.admin != "" })
	return d
}

// Write takes in its log.
func (d *running) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.said.Write(p)
	for line := range bytes.Lines(d.said.Bytes()) {
		var l struct{ Msg, Admin, Addr string }
		_ = json.Unmarshal(line, &l)
		switch { // set once: from then on they are read without the lock
		case l.Msg == "started" && d.admin == "":
			d.admin = "http://" + l.Admin
		case l.Msg == "serving the record API" && d.api == "":
			d.api = "http://" + l.Addr + "/api/v1/recordings/"
		}
	}
	return len(p), nil
}

func (d *running) log() string { d.mu.Lock(); defer d.mu.Unlock(); return d.said.String() }

// get asks, with a header or none.
func (d *running) get(url string, header ...string) (int, string) {
	ctx, cancel := context.WithTimeout(d.t.Context(), 15*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if len(header) == 2 {
		r.Header.Set(header[0], header[1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

func (d *running) ready() *running {
	d.t.Helper()
	until(d.t, "it is ready", func() bool { code, _ := d.get(d.admin + "/readyz"); return code == http.StatusOK })
	return d
}

// leads reports whether it says so.
func (d *running) leads() bool {
	_, body := d.get(d.admin + "/readyz")
	return strings.Contains(body, `{"name":"leader","ok":true`)
}

// stop ends it by SIGTERM; it must end 0.
func (d *running) stop() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	select {
	case <-d.ended:
	case <-time.After(patience):
		d.t.Fatal("it does not end")
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		d.t.Errorf("exit code %d", code)
	}
}

// backup opens the real backup store for writing.
func (b *bed) backup() objstore.Writer {
	b.t.Helper()
	w, err := azstore.Open(b.t.Context(), azstore.Config{
		ServiceURL: b.env["TWINREEL_AZURE_SERVICE_URL"], Container: b.env["TWINREEL_AZURE_CONTAINER"], AccountName: b.env["TWINREEL_AZURE_ACCOUNT_NAME"],
		AccountKey: settings.NewSecret(b.env["TWINREEL_AZURE_ACCOUNT_KEY"]),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return w
}

// put stores an event's recording as a worker does.
func put(t *testing.T, w objstore.Writer, e event.Event, media []byte) {
	t.Helper()
	entry, err := event.NewEntry(e, digest.Of(media))
	if err != nil {
		t.Fatal(err)
	}
	for key, body := range map[string][]byte{entry.ObjectKey: media, event.SidecarKey(e.Data.IdempotencyKey): entry.Sidecar} {
		if _, err := w.Put(t.Context(), key, body, digest.Of(body), objstore.Options{ContentType: "audio/wav"}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRunServesWhatIsKnownOfARecording(t *testing.T) {
	b := provisioned(t).withStores().inProcess()
	d := b.launch().ready()
	for i := range 10 { // each the very moment after its acknowledgement
		id := fmt.Sprint("rec-", rand.Text())
		b.accept(queue.Both, recordingEvent("emea", id, i))
		code, body := d.get(d.api + "emea/" + id)
		if r := decode[history.Recording](t, body); code != http.StatusOK || r.Status != ledger.Pending || r.RecordingID != id {
			t.Fatalf("%d %s", code, body)
		}
	}
	id := "rec-" + rand.Text()
	b.store(id, tier.Backup, storedAt())
	if code, body := d.get(d.api + id); code != http.StatusOK || decode[history.Recording](t, body).Status != ledger.Partial {
		t.Errorf("in Redis: %d %s", code, body)
	}
	long := recordingEvent("default", "rec-"+rand.Text(), 1) // in a store alone
	put(t, b.backup(), long, []byte("RIFF media"))
	code, body := d.get(d.api + long.Data.RecordingID)
	if r := decode[history.Recording](t, body); code != http.StatusOK || r.Status != ledger.Partial || r.Backup == nil || r.Backup.Key != long.Data.ObjectKey || r.Size != 10 {
		t.Errorf("in a store: %d %s", code, body)
	}
	if code, body := d.get(d.api + long.Data.RecordingID); code != http.StatusOK || !strings.Contains(body, "read, by local@127.0.0.1") {
		t.Errorf("the second read does not tell of the first: %d %s", code, body)
	}
	b.ok("recording", "forget", id, "--case", "c-1", "--reason", "erasure request", "--yes")
	if code, body := d.get(d.api + id); code != http.StatusOK || decode[history.Recording](t, body).Status != ledger.Forgotten {
		t.Errorf("forgotten: %d %s", code, body)
	}
	if code, body := d.get(d.api + "rec-" + rand.Text()); code != http.StatusNotFound || !strings.Contains(body, "unknown_recording") {
		t.Errorf("unknown: %d %s", code, body)
	}
	if a := b.audited("audit.read.all"); len(a) != 14 || a[11].IdempotencyKey != long.Data.RecordingID || a[11].By != "local@127.0.0.1" {
		t.Errorf("audited %+v", a)
	}
	d.stop()
	if strings.Contains(d.log(), "s3cret") || strings.Contains(d.log(), "sig=") {
		t.Errorf("a link was logged:\n%s", d.log())
	}
}

func TestRunAsksForItsTokens(t *testing.T) {
	b := provisioned(t).withStores()
	d := b.launch("TWINREEL_API_TOKEN=s3cret").ready()
	b.store("rec-1", tier.Backup, storedAt())
	if code, _ := d.get(d.api + "rec-1"); code != http.StatusUnauthorized {
		t.Errorf("without: %d", code)
	}
	if code, body := d.get(d.api+"rec-1", "Authorization", "Bearer s3cret"); code != http.StatusOK {
		t.Errorf("with: %d %s", code, body)
	}
}

// One leads, the other takes over when it stops, and at last the metrics are the other's.
func TestOfTwoThatRunOneLeads(t *testing.T) {
	b := provisioned(t).withStores()
	first := b.launch().ready()
	until(t, "the first leads", first.leads)
	second := b.launch().ready()
	if second.leads() {
		t.Error("both lead")
	}
	metrics := func(d *running) bool {
		_, m := d.get(d.admin + "/metrics")
		return strings.Contains(m, "twinreel_backlog{")
	}
	until(t, "the leader tells what waits", func() bool { return metrics(first) })
	if metrics(second) {
		t.Error("both tell what waits")
	}
	first.stop()
	until(t, "the second leads", second.leads)
	until(t, "it tells what waits", func() bool { return metrics(second) })
	second.stop()
}

func TestRunTakesDeadLettersToTheirEnd(t *testing.T) {
	b := provisioned(t).withStores()
	media := []byte("RIFF the very bytes")
	e := recordingEvent("default", "rec-"+rand.Text(), 1)
	put(t, b.backup(), e, media)
	b.giveEvent(tier.Primary, queue.SourceGone, 1, e)
	b.giveEvent(tier.Backup, queue.SourceGone, 2, e)
	d := b.launch().ready()
	until(t, "the event is sent again, and backup's letter resolved", func() bool { return len(b.redriven(tier.Primary)) == 1 && b.count(queue.DeadLetters) == 1 })
	from := b.redriven(tier.Primary)[0].Data.CopyFrom
	if code, body := d.get(from.URL); code != http.StatusOK || body != string(media) || from.SHA256 != digest.Of(media).SHA256 {
		t.Errorf("the link answers %d %q", code, body)
	}
	if a := b.audited("audit.redriven.primary"); len(a) != 1 || a[0].By != "reconciler" {
		t.Errorf("audited %+v", a)
	}
	until(t, "the open letter is counted", func() bool {
		_, m := d.get(d.admin + "/metrics")
		return strings.Contains(m, `twinreel_dead_letters_open{reason="source_gone",tier="primary"} 1`)
	})
	d.stop()
}

func TestRunWithWrongSettingsSaysAllThatIsWrong(t *testing.T) {
	r := runWith(t, map[string]string{"TWINREEL_API_ADDR": ":8081"}, "run")
	for _, name := range []string{"TWINREEL_API_TOKEN: ", "TWINREEL_AUDIT_KEY: ", "TWINREEL_S3_BUCKET: ", "TWINREEL_AZURE_CONTAINER: "} {
		if !strings.Contains(r.stderr, name) {
			t.Errorf("%s is not named in:\n%s", name, r.stderr)
		}
	}
	if r.code != 2 || r.stdout != "" {
		t.Errorf("got %+v", r)
	}
}

// NATS comes late: until then it is not ready, says why, and does not say that a recording is unknown.
func TestRunWaitsForWhatIsNotProvisioned(t *testing.T) {
	b := newBed(t).withStores()
	d := b.launch()
	until(t, "it says what is missing", func() bool {
		code, body := d.get(d.admin + "/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "reconciler provision")
	})
	if code, body := d.get(d.api + "rec-1"); code != http.StatusServiceUnavailable || !strings.Contains(body, "unavailable") {
		t.Errorf("%d %s", code, body)
	}
	b.ok("provision")
	d.ready()
	until(t, "it leads", d.leads)
	if code, _ := d.get(d.api + "rec-1"); code != http.StatusNotFound {
		t.Errorf("%d", code)
	}
	if _, err := b.js.KeyValue(t.Context(), queue.Leases); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
