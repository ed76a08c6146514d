package cli

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/queue"
)

func (b *bed) streamNames() []string {
	b.t.Helper()
	names := b.js.StreamNames(b.t.Context())
	var out []string
	for name := range names.Name() {
		out = append(out, name)
	}
	if names.Err() != nil {
		b.t.Fatal(names.Err())
	}
	slices.Sort(out)
	return out
}

func (b *bed) maxBytes(stream string) int64 {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), stream)
	if err != nil {
		b.t.Fatal(err)
	}
	return s.CachedInfo().Config.MaxBytes
}

func actions(list []queue.Change) []string {
	var out []string
	for _, c := range list {
		if !slices.Contains(out, c.Action) {
			out = append(out, c.Action)
		}
	}
	return out
}

func TestProvisionCreatesEverythingOnceAndLeavesItThen(t *testing.T) {
	b := newBed(t)
	first := decode[[]queue.Change](t, b.ok("provision", "-o", "json").stdout)
	if got := actions(first); len(first) != 3+4+5 || !slices.Equal(got, []string{"created"}) {
		t.Errorf("first: got %v", first)
	}
	want := []string{"AUDIT", "KV_twinreel-digests", "KV_twinreel-leases", "KV_twinreel-quarantine", "KV_twinreel-tiers", "KV_twinreel-tombstones", "RECORDINGS", "RECORDINGS_DLQ"}
	if got := b.streamNames(); !slices.Equal(got, want) {
		t.Errorf("got streams %v, want %v", got, want)
	}
	second := decode[[]queue.Change](t, b.ok("provision", "-o", "json").stdout)
	if got := actions(second); len(second) != len(first) || !slices.Equal(got, []string{"unchanged"}) {
		t.Errorf("second: got %v", second)
	}
	if r := b.ok("provision"); !strings.HasPrefix(r.stdout, "KIND ") || !strings.Contains(r.stdout, "RECORDINGS_DLQ") || r.stderr != "" {
		t.Errorf("as a table: got %q, %q", r.stdout, r.stderr)
	}
}

func TestProvisionPerDaySizesTheStreams(t *testing.T) {
	b := newBed(t)
	b.env["TWINREEL_RECORDINGS_MAX_AGE"] = "240h"
	r := b.ok("provision", "--per-day", "10000")
	// 10000 × 2304 B × 10 d × 1.25; 100 × 2816 B × 90 d × 1.25 below the smallest; 32000 × 956 B × 14 d × 2.2
	for stream, want := range map[string]int64{queue.Recordings: 275 << 20, queue.DeadLetters: 64 << 20, queue.Audit: 899 << 20} {
		if got := b.maxBytes(stream); got != want {
			t.Errorf("%s: got %d, want %d", stream, got, want)
		}
	}
	if !strings.Contains(r.stderr, "10000 recordings a day: RECORDINGS 275MiB") {
		t.Errorf("the sizes are not told: %s", r.stderr)
	}
	b.wants(2, "--per-day 0", "provision", "--per-day", "0")
	b.wants(2, "per-day", "provision", "--per-day", "many")
}

func TestProvisionIsAllOrNothingWhenTheServerRefusesASize(t *testing.T) {
	b := newBed(t)
	b.env["TWINREEL_AUDIT_MAX_BYTES"] = "1000000GiB"
	b.wants(1, "cannot hold", "provision")
	if got := b.streamNames(); len(got) > 0 {
		t.Errorf("left behind: %v", got)
	}
	b.env["TWINREEL_AUDIT_MAX_BYTES"] = "16MiB"
	b.ok("provision")
	b.env["TWINREEL_AUDIT_MAX_BYTES"], b.env["TWINREEL_RECORDINGS_MAX_BYTES"] = "1000000GiB", "32MiB"
	b.wants(1, "cannot hold", "provision")
	if got := b.maxBytes(queue.Recordings); got != 16<<20 {
		t.Errorf("RECORDINGS stays at %d, want it set back to 16 MiB", got)
	}
}

func TestProvisionAsksTheMonitorBeforeItChangesAnything(t *testing.T) {
	b := newBed(t)
	room := `{"reserved_storage":0,"config":{"max_storage":50000000}}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(room)) }))
	defer s.Close()
	b.env["TWINREEL_NATS_MONITOR_URL"] = s.URL
	r := b.wants(1, "needed 48.0 MiB, available 47.7 MiB", "provision")
	if got := b.streamNames(); len(got) > 0 || !strings.Contains(r.stderr, "nothing was changed") {
		t.Errorf("streams %v, said: %s", got, r.stderr)
	}
	room = `{"reserved_storage":0,"config":{"max_storage":60000000}}`
	b.wants(0, "needed 48.0 MiB, available 57.2 MiB", "provision")
	s.Close()
	b.wants(1, "TWINREEL_NATS_MONITOR_URL", "provision")
}

func TestProvisionAnswersSoonWhenNATSIsAway(t *testing.T) {
	start := time.Now()
	r := runWith(t, map[string]string{"TWINREEL_NATS_URL": "nats://user:s3cret@" + nowhere}, "provision")
	if took := time.Since(start); took > 6*time.Second {
		t.Errorf("took %v", took)
	}
	if r.code != 1 || !strings.Contains(r.stderr, "NATS cannot be reached at "+nowhere) || strings.Contains(r.stderr, "s3cret") || r.stdout != "" {
		t.Errorf("got %+v", r)
	}
}

func TestProvisionTellsOfWrongCredentials(t *testing.T) {
	b := newBed(t)
	b.env["TWINREEL_NATS_PASSWORD"] = "wrong"
	b.wants(1, "uthorization", "provision")
}

func TestProvisionNamesEveryWrongSetting(t *testing.T) {
	r := runWith(t, map[string]string{
		"TWINREEL_NATS_URL": "http://x", "TWINREEL_NATS_REPLICAS": "2", "TWINREEL_DLQ_MAX_BYTES": "much", "TWINREEL_NATS_MONITOR_URL": "here",
	}, "provision")
	lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
	if r.code != 2 || len(lines) != 4 {
		t.Fatalf("got %+v", r)
	}
	for i, name := range []string{"TWINREEL_DLQ_MAX_BYTES", "TWINREEL_NATS_MONITOR_URL", "TWINREEL_NATS_REPLICAS", "TWINREEL_NATS_URL"} {
		if !strings.HasPrefix(lines[i], name+": ") {
			t.Errorf("line %d: got %q, want %s", i, lines[i], name)
		}
	}
}
