package queue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// small are sizes that every test server has room for.
func small() queue.Sizes {
	return queue.Sizes{Recordings: 32 << 20, Letters: 4 << 20, Audit: 4 << 20, MaxAge: 720 * time.Hour}
}

func TestProvisionMakesWhatTheContractSays(t *testing.T) {
	_, js := testenv.Account(t, "test01")
	done, err := queue.Provision(t.Context(), js, small(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range done {
		if c.Action != "created" {
			t.Errorf("%s %s: %s", c.Kind, c.Name, c.Action)
		}
	}
	rec, err := js.Stream(t.Context(), "RECORDINGS")
	if err != nil {
		t.Fatal(err)
	}
	c := rec.CachedInfo().Config
	if !c.DenyDelete || !c.DenyPurge || !c.AllowDirect || c.Discard != jetstream.DiscardNew || c.Storage != jetstream.FileStorage ||
		c.Duplicates != 10*time.Minute || c.MaxAge != 720*time.Hour || len(c.Subjects) != 5 {
		t.Errorf("RECORDINGS: %+v", c)
	}
	for name, subjects := range map[string]string{
		"primary":          "recordings.completed.both recordings.completed.primary recordings.redrive.primary",
		"backup":           "recordings.completed.both recordings.completed.backup recordings.redrive.backup",
		"primary-backfill": "recordings.completed.backup",
		"backup-backfill":  "recordings.completed.primary",
	} {
		got, err := js.Consumer(t.Context(), "RECORDINGS", name)
		if err != nil {
			t.Fatalf("consumer %s: %v", name, err)
		}
		c := got.CachedInfo().Config
		filters := c.FilterSubjects
		if len(filters) == 0 {
			filters = []string{c.FilterSubject}
		}
		if strings.Join(filters, " ") != subjects || c.AckWait != time.Minute || c.MaxDeliver != -1 || c.MaxAckPending < 10_000 || len(c.BackOff) > 0 {
			t.Errorf("consumer %s: %+v", name, c)
		}
	}
	for _, bucket := range []string{"twinreel-digests", "twinreel-tiers", "twinreel-quarantine", "twinreel-tombstones", "twinreel-leases"} {
		if _, err := js.KeyValue(t.Context(), bucket); err != nil {
			t.Errorf("bucket %s: %v", bucket, err)
		}
	}
}

func TestProvisionMayBeRepeated(t *testing.T) {
	_, js := testenv.Account(t, "test01")
	if _, err := queue.Provision(t.Context(), js, small(), 1); err != nil {
		t.Fatal(err)
	}
	again, err := queue.Provision(t.Context(), js, small(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range again {
		if c.Action != "unchanged" {
			t.Errorf("%s %s: %s", c.Kind, c.Name, c.Action)
		}
	}
	larger := small()
	larger.Recordings *= 2
	changed, err := queue.Provision(t.Context(), js, larger, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changed {
		if (c.Action == "updated") != (c.Name == queue.Recordings) {
			t.Errorf("with a larger RECORDINGS, %s %s: %s", c.Kind, c.Name, c.Action)
		}
	}
}

func TestProvisionIsAllOrNothing(t *testing.T) {
	_, js := testenv.Account(t, "test01")
	tooLarge := small()
	tooLarge.Audit = 1 << 60
	_, err := queue.Provision(t.Context(), js, tooLarge, 1)
	if err == nil || !strings.Contains(err.Error(), "AUDIT") || !strings.Contains(err.Error(), "disk") {
		t.Fatalf("a stream of an exbibyte: %v", err)
	}
	names := js.StreamNames(t.Context())
	for name := range names.Name() {
		t.Errorf("%s was left behind", name)
	}

	if _, err := queue.Provision(t.Context(), js, small(), 1); err != nil {
		t.Fatal(err)
	}
	tooLarge.Recordings = small().Recordings * 2
	if _, err := queue.Provision(t.Context(), js, tooLarge, 1); err == nil {
		t.Fatal("a stream of an exbibyte was provisioned")
	}
	rec, err := js.Stream(t.Context(), "RECORDINGS")
	if err != nil || rec.CachedInfo().Config.MaxBytes != int64(small().Recordings) {
		t.Errorf("RECORDINGS was not set back: %v %v", rec, err)
	}
}

func TestProvisionedSaysWhatIsMissing(t *testing.T) {
	_, js := testenv.Account(t, "test01")
	ready := queue.Provisioned(js, 1, queue.Recordings, queue.BucketStream(queue.Digests))
	if err := ready(t.Context()); err == nil || !strings.Contains(err.Error(), "reconciler provision") {
		t.Errorf("before: %v", err)
	}
	if _, err := queue.Provision(t.Context(), js, small(), 1); err != nil {
		t.Fatal(err)
	}
	if err := ready(t.Context()); err != nil {
		t.Errorf("after: %v", err)
	}
	if err := queue.Provisioned(js, 3, queue.Recordings)(t.Context()); err == nil || !strings.Contains(err.Error(), "TWINREEL_NATS_REPLICAS") {
		t.Errorf("too few replicas: %v", err)
	}
}

func TestProvisionedRefusesMemory(t *testing.T) {
	_, js := testenv.Account(t, "test01")
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "RECORDINGS", Subjects: []string{"x"}, Storage: jetstream.MemoryStorage}); err != nil {
		t.Fatal(err)
	}
	if err := queue.Provisioned(js, 1, queue.Recordings)(t.Context()); err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("got %v", err)
	}
}
