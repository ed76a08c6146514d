package capacity

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/leaf"
	"github.com/twinreel/twinreel/reconciler/internal/audit/tree"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
)

// usual is an event of usual size; n makes another.
func usual(n int) event.Event {
	return event.New(event.Data{
		RecordingID: fmt.Sprintf("rec-8a7f0e2c-5d1b-4f7e-9c55-2f6f%08d", n), Source: "emea", DurationSeconds: 183.4,
		Media: event.Media{URL: "https://cdn.example.com/rec?" + strings.Repeat("x", 900), Format: "mp4"},
		Participants: []event.Participant{
			{"id": "agent-4711", "role": "agent", "name": "Ada Lovelace"}, {"id": "customer-0815", "role": "customer", "name": "Charles Babbage"},
		},
		Tags: map[string]string{"queue": "billing", "team": "emea-2", "language": "en", "skill": "invoices", "case": "CS-123456"},
	}, fmt.Sprint(n), time.Date(2026, 11, 23, 10, 0, 0, 123456789, time.UTC))
}

// usualAudit is an audit event of usual size of the n-th recording.
func usualAudit(n int, kind event.AuditKind, t tier.Tier) event.Audit {
	e, size := usual(n), int64(1_440_000)
	return event.Audit{
		Kind: kind, Tier: t.String(), MsgID: fmt.Sprintf("%s/%s/RECORDINGS/%d", kind, t, 123_456_789+n), Time: time.Date(2026, 11, 23, 10, 0, n, 0, time.UTC),
		Data: event.AuditData{
			Tier: t.String(), IdempotencyKey: e.Data.IdempotencyKey, ObjectKey: e.Data.ObjectKey, Bucket: "a-company-recordings-eu",
			ETag: `"0123456789abcdef0123456789abcdef-128"`, VersionID: "3HL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY", SHA256: event.HashKey(fmt.Sprint(n)),
			CRC64NVME: "AAAAAAAAAAA=", Size: &size,
		},
	}
}

// within says whether a plan's number holds what was measured without being far from it.
func within(t *testing.T, what string, measured, planned float64) {
	t.Helper()
	t.Logf("%s: %.4g measured, %.4g planned", what, measured, planned)
	if measured > planned || measured < 0.6*planned {
		t.Errorf("%s: %.4g measured, %.4g planned", what, measured, planned)
	}
}

// each is what a message of the bucket takes of a server's disk.
func each(t *testing.T, js jetstream.JetStream, bucket string, messages uint64) float64 {
	t.Helper()
	s, err := js.Stream(t.Context(), queue.BucketStream(bucket))
	if err != nil {
		t.Fatal(err)
	}
	state := s.CachedInfo().State
	if state.Msgs != messages {
		t.Fatalf("%s has %d messages, want %d", bucket, state.Msgs, messages)
	}
	return float64(state.Bytes) / float64(messages)
}

// given entries as the workers make them, when the reconciler frees them as it does, then entry and mark take of the server's
// disk what is planned.
func TestADigestEntryTakesOfTheDiskWhatIsPlanned(t *testing.T) {
	const entries = 100
	_, js := testenv.Account(t, account)
	small := settings.Bytes(1 << 20)
	if _, err := queue.Provision(t.Context(), js, queue.Sizes{Recordings: small, Letters: small, Audit: small, MaxAge: time.Hour}, 1); err != nil {
		t.Fatal(err)
	}
	bucket, err := js.KeyValue(t.Context(), queue.Digests)
	if err != nil {
		t.Fatal(err)
	}
	kv := digest.NewKV(bucket, 5*time.Second)
	revisions := map[string]uint64{}
	for n := range entries {
		e, d := usual(n), digest.Of(fmt.Append(nil, n))
		side, err := event.NewSidecar(e, d).Encode()
		if err != nil {
			t.Fatal(err)
		}
		key := event.HashKey(e.Data.IdempotencyKey)
		held, err := kv.Agree(t.Context(), key, digest.Entry{Digest: d, ObjectKey: e.Data.ObjectKey, Sidecar: side})
		if err != nil {
			t.Fatal(err)
		}
		revisions[key] = held.Revision
	}
	within(t, "an entry", each(t, js, queue.Digests, entries), entryBytes)
	for key, revision := range revisions {
		if err := bucket.Purge(t.Context(), key, jetstream.LastRevision(revision), jetstream.PurgeTTL(MarkLife)); err != nil {
			t.Fatal(err)
		}
	}
	within(t, "a mark", each(t, js, queue.Digests, entries), markBytes)
	stones, err := js.KeyValue(t.Context(), queue.Tombstones)
	if err != nil {
		t.Fatal(err)
	}
	stone, err := json.Marshal(erasure.Tombstone{By: "operator@host", At: time.Now(), Case: "DSR-2026-0815", Reason: "erasure was asked for by the customer"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stones.Create(t.Context(), event.HashKey("emea/rec-1"), stone); err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Create(t.Context(), event.HashKey("emea/rec-1"), []byte(`{"forgotten":true}`)); err != nil {
		t.Fatal(err)
	}
	within(t, "a tombstone and its digest entry", each(t, js, queue.Tombstones, 1)+float64(len(event.HashKey(""))+100), tombstoneBytes)
}

// shelf is a log that is sealed into a store which keeps what it is given.
type shelf struct{ *memstore.Store }

// Put implements tree.Sink.
func (s shelf) Put(_ context.Context, key string, body []byte) error {
	s.Plant(key, memstore.Object{Body: body})
	return nil
}

// Flush implements tree.Sink.
func (shelf) Flush(context.Context) error { return nil }

// Checkpoint implements tree.Sink.
func (shelf) Checkpoint(context.Context, checkpoint.Checkpoint) error { return nil }

// given the audit events of usual recordings, when they are sealed, then each takes of a store what is planned.
func TestASealedLeafTakesOfAStoreWhatIsPlanned(t *testing.T) {
	const leaves = 1 << 16 // from so many on there is a roster
	to := shelf{memstore.New("audit")}
	created := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	b := tree.New(epoch.Of(created), to, to)
	told := []struct {
		kind event.AuditKind
		tier tier.Tier
	}{{event.AuditStored, tier.Primary}, {event.AuditStored, tier.Backup}, {event.AuditConfirmed, tier.Backup}}
	for n := range leaves {
		of := told[n%len(told)]
		a := usualAudit(n/len(told), of.kind, of.tier)
		body, err := a.Encode()
		if err != nil {
			t.Fatal(err)
		}
		one := leaf.Leaf{Sequence: uint64(n) + 1, Subject: queue.AuditSubject(string(of.kind), of.tier.String()), Stored: a.Time, MsgID: a.MsgID, Body: body}
		if err := b.Add(t.Context(), tree.ItemOf(one)); err != nil {
			t.Fatal(err)
		}
	}
	var bytes, objects float64
	for o, err := range to.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		bytes, objects = bytes+float64(o.Size), objects+1
	}
	within(t, "bytes of a leaf", bytes/leaves, leafBytes)
	within(t, "objects of a leaf", objects/leaves, leafObjects)
}
