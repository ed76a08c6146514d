package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// given a whole fleet, when an operator looks at it, with the workers' environments at hand, then what is well passes, what
// these servers do not know is unknown, and nothing was changed anywhere.
func TestDoctorOnAWholeFleet(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{platform: platform.Config{Seed: 62}})
	b.send(b.add(platform.Spec{ID: "rec-1", Size: mib, SendSize: true, Expect: platform.ExpectStored}))
	b.settle()
	before := b.everything()
	w := b.stack.World()
	env := func(name string, lines ...string) string {
		path := filepath.Join(t.TempDir(), name)
		b.must(os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600))
		return name + "=" + path
	}
	primary := env("worker-primary", "TWINREEL_S3_ENDPOINT="+w.S3.Endpoint, "TWINREEL_S3_REGION="+w.S3.Region, "TWINREEL_S3_BUCKET="+w.S3.Bucket,
		"TWINREEL_S3_PATH_STYLE=true", "AWS_ACCESS_KEY_ID="+w.S3.Writer.Access, "AWS_SECRET_ACCESS_KEY="+w.S3.Writer.Secret)
	backup := env("worker-backup", "TWINREEL_AZURE_SERVICE_URL="+w.Azure.ServiceURL, "TWINREEL_AZURE_CONTAINER="+w.Azure.Container,
		"TWINREEL_AZURE_SAS_TOKEN="+w.Azure.WriterSAS, "AWS_ACCESS_KEY_ID=somebody")
	res, err := b.fleet.CommandWith(t.Context(), []string{"TWINREEL_WEBHOOK_SECRET=" + b.secret}, "doctor", "--env", primary, "--env", backup, "-o", "json")
	b.must(err)
	var all []struct{ Name, What, Why, Found, Verdict, Mend string }
	b.must(json.Unmarshal([]byte(res.Stdout), &all))
	got := map[string]string{}
	for _, c := range all {
		got[c.Name] = c.Verdict
	}
	for name, want := range map[string]string{
		"nats.streams": "pass", "nats.sync": "pass", "nats.room": "pass", "nats.clock": "pass", "nats.replicas": "warn", "redis.eviction": "pass",
		"redis.persistence": "pass", "primary.versions": "pass", "primary.region": "pass", "primary.copies": "pass", "primary.lifecycle": "unknown",
		"primary.encryption": "unknown", "primary.public": "unknown", "primary.identities": "pass", "backup.identities": "pass", "backup.public": "pass",
		"backup.lifecycle": "unknown", "stores.retention": "warn", "reconciler.primary.overwrite": "pass", "worker-primary.primary.overwrite": "warn",
		"worker-primary.other-cloud": "pass", "worker-backup.backup.rights": "pass", "worker-backup.backup.expiry": "pass",
		"worker-backup.other-cloud": "fail", "webhooks.secret": "pass", "platform.reachable": "unknown",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %s", name, got[name], want)
		}
	}
	if res.Code != 3 {
		t.Errorf("exit code %d, want 3", res.Code)
	}
	if t.Failed() {
		t.Logf("it says\n%s%s", res.Stdout, res.Stderr)
	}
	if after := b.everything(); after != before {
		t.Errorf("it changed something: %v before, %v after", before, after)
	}
	for _, secret := range []string{b.secret, w.S3.Writer.Secret, w.S3.Reader.Secret, "sig="} {
		if strings.Contains(res.Stdout+res.Stderr, secret) {
			t.Error("it shows a secret")
		}
	}
	b.sound(1)
}

// everything counts what the streams hold that the fleet does not change by itself.
func (b *bed) everything() (n [3]int) {
	b.t.Helper()
	for i, stream := range []string{"RECORDINGS", "RECORDINGS_DLQ", "AUDIT"} {
		b.must(b.each(b.t.Context(), stream, func(*jetstream.RawStreamMsg) { n[i]++ }))
	}
	return n
}
