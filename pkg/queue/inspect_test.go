package queue_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// standings are those of all that is not as it should be, by kind and name.
func standings(t *testing.T, js jetstream.JetStream, replicas int) map[string]queue.Standing {
	t.Helper()
	list, err := queue.Topology{Sizes: small(), Replicas: replicas}.Inspect(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]queue.Standing{}
	for _, s := range list {
		if s.Missing || len(s.Differs) > 0 {
			out[s.Kind+" "+s.Name] = s
		}
	}
	return out
}

func TestInspectFindsNothingInWhatWasJustProvisioned(t *testing.T) {
	_, js := testenv.Account(t, "test01")
	if all := standings(t, js, 1); len(all) != 8 || !all["stream AUDIT"].Missing {
		t.Errorf("of nothing: got %+v", all)
	}
	if _, err := queue.Provision(t.Context(), js, small(), 1); err != nil {
		t.Fatal(err)
	}
	list, err := queue.Topology{Sizes: small(), Replicas: 1}.Inspect(t.Context(), js)
	if err != nil || len(list) != 12 {
		t.Fatalf("got %d, %v", len(list), err)
	}
	if all := standings(t, js, 1); len(all) != 0 {
		t.Errorf("got %+v", all)
	}
	i := slices.IndexFunc(list, func(s queue.Standing) bool { return s.Name == queue.Recordings })
	if r := list[i]; r.Replicas != 1 || r.MaxBytes != int64(small().Recordings) || time.Since(r.At).Abs() > time.Minute {
		t.Errorf("got %+v", r)
	}
}

func TestInspectNamesEachWayInWhichAStreamCouldLoseMessages(t *testing.T) {
	_, js := testenv.Account(t, "test01")
	if _, err := queue.Provision(t.Context(), js, small(), 1); err != nil {
		t.Fatal(err)
	}
	if all := standings(t, js, 3); len(all) != 8 || !strings.Contains(strings.Join(all["stream RECORDINGS"].Differs, "; "), "1 replicas instead of 3") {
		t.Errorf("three replicas asked for: got %+v", all)
	}
	s, err := js.Stream(t.Context(), queue.DeadLetters)
	if err != nil {
		t.Fatal(err)
	}
	c := s.CachedInfo().Config
	c.Discard, c.MaxAge, c.Duplicates, c.MaxMsgs = jetstream.DiscardOld, time.Hour, time.Minute, 5
	c.Subjects = c.Subjects[:1]
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	consumer, err := js.Consumer(t.Context(), queue.Recordings, "backup")
	if err != nil {
		t.Fatal(err)
	}
	cc := consumer.CachedInfo().Config
	cc.MaxDeliver, cc.AckWait, cc.FilterSubjects = 3, time.Second, cc.FilterSubjects[:1]
	if _, err := js.UpdateConsumer(t.Context(), queue.Recordings, cc); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), queue.Audit); err != nil {
		t.Fatal(err)
	}
	memory := queue.BucketStream(queue.Quarantine)
	if err := js.DeleteStream(t.Context(), memory); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: queue.Quarantine, Storage: jetstream.MemoryStorage}); err != nil {
		t.Fatal(err)
	}
	all := standings(t, js, 1)
	if len(all) != 4 || !all["stream AUDIT"].Missing {
		t.Errorf("got %+v", all)
	}
	for name, words := range map[string][]string{
		"stream RECORDINGS_DLQ":      {"drops its oldest", "for 1h0m0s instead of 2160h0m0s", "duplicates for 1m0s", "exceeds 5 messages", "does not take recordings.dlq.backup"},
		"consumer backup":            {"after 3 deliveries", "waits 1s", "takes other subjects"},
		"bucket twinreel-quarantine": {"in memory only"},
	} {
		text := strings.Join(all[name].Differs, "; ")
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("%s: got %q, want %q in it", name, text, w)
			}
		}
	}
}
