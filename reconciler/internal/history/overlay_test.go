package history

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
)

func (w *world) erased(t erasure.Tombstone, err error) {
	w.Erased = func(context.Context, string) (erasure.Tombstone, error) { return t, err }
}

func (w *world) quarantined(r quarantine.Record, err error) {
	w.Quarantined = func(context.Context, string) (quarantine.Record, error) { return r, err }
}

// logged sets what the audit log tells.
func (w *world) logged(t *testing.T, err error, list ...event.Audit) {
	t.Helper()
	var told []Entry
	for _, a := range list {
		a.Data.IdempotencyKey = "emea/rec-1"
		body, eerr := a.Encode()
		if eerr != nil {
			t.Fatal(eerr)
		}
		e, ok := FromAudit(body, "emea/rec-1")
		if !ok {
			t.Fatalf("%s is not of the recording", body)
		}
		told = append(told, e)
	}
	w.Log = func(context.Context, string) ([]Entry, error) { return told, err }
}

func (w *world) completed() {
	w.Record = func(_ context.Context, key string) (ledger.Record, error) {
		return ledger.Record{
			IdempotencyKey: key, RecordingID: "rec-1", Status: ledger.Completed, ReceivedAt: time.Unix(900, 0), Letters: map[tier.Tier]string{tier.Backup: "source_gone"},
			Primary: &ledger.Stored{Timestamp: time.Unix(1000, 0)}, Backup: &ledger.Stored{Timestamp: time.Unix(1000, 0)},
		}, nil
	}
}

func lines(r Recording) (out []string) {
	for _, e := range r.Timeline {
		out = append(out, e.Tier+" "+e.What)
	}
	return out
}

func TestWhatIsForgottenOrInQuarantineIsSaidSo(t *testing.T) {
	open := quarantine.Record{IdempotencyKey: "emea/rec-1", Differences: []quarantine.Difference{{Kind: "versions", Tier: "primary", Evidence: "2", Since: time.Unix(1100, 0)}}}
	resolved := open
	resolved.Resolved = &quarantine.Resolution{}
	for name, c := range map[string]struct {
		world  func(*world)
		status ledger.Status
		line   string
	}{
		"neither": {func(w *world) {
			w.erased(erasure.Tombstone{}, erasure.ErrNone)
			w.quarantined(quarantine.Record{}, quarantine.ErrNone)
		}, ledger.Completed, "all received"},
		"forgotten":                     {func(w *world) { w.erased(erasure.Tombstone{At: time.Unix(2000, 0)}, nil); w.quarantined(open, nil) }, ledger.Forgotten, "all forgotten"},
		"forgotten, by the entry alone": {func(w *world) { w.erased(erasure.Tombstone{}, nil) }, ledger.Forgotten, "all forgotten"},
		"quarantined":                   {func(w *world) { w.quarantined(open, nil) }, ledger.Quarantined, "primary in quarantine for versions: 2"},
		"resolved":                      {func(w *world) { w.quarantined(resolved, nil) }, ledger.Completed, "all received"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.completed()
			c.world(w)
			r, err := w.Find(t.Context(), "emea/rec-1")
			if err != nil || r.Status != c.status || !slices.Contains(lines(r), c.line) {
				t.Errorf("got %s, %q, %v", r.Status, lines(r), err)
			}
		})
	}
}

func TestWhoKnowsNothingElseKnowsThatItIsForgotten(t *testing.T) {
	w := newWorld()
	w.erased(erasure.Tombstone{At: time.Unix(2000, 0)}, nil)
	if r, err := w.Find(t.Context(), "emea/rec-1"); err != nil || r.Status != ledger.Forgotten || r.RecordingID != "rec-1" || r.IdempotencyKey != "emea/rec-1" {
		t.Errorf("got %+v, %v", r, err)
	}
	w.erased(erasure.Tombstone{}, errAway)
	if _, err := w.Find(t.Context(), "emea/rec-1"); !errors.Is(err, ErrUnknown) || !slices.Contains(w.asides, "the tombstones") {
		t.Errorf("got %v, told of %v", err, w.asides)
	}
}

func TestTheLogTellsEachThingOnce(t *testing.T) {
	w := newWorld()
	w.completed()
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	w.logged(t, ErrTail,
		event.Audit{Kind: event.AuditStored, Tier: "primary", MsgID: "a", Time: at(1001), Data: event.AuditData{Tier: "primary", VersionID: "v1"}},
		event.Audit{Kind: event.AuditStored, Tier: "primary", MsgID: "a", Time: at(5001), Data: event.AuditData{Tier: "primary", VersionID: "v1"}}, // twice
		event.Audit{Kind: event.AuditDead, Tier: "backup", MsgID: "b", Time: at(950), Data: event.AuditData{Tier: "backup", Reason: "source_gone"}},
		event.Audit{Kind: event.AuditRead, Tier: "all", MsgID: "c", Time: at(3000), Data: event.AuditData{By: "ada@desk"}},
	)
	r, err := w.Find(t.Context(), "emea/rec-1")
	want := []string{"all received", "backup given up: source_gone", "backup stored", "primary stored, version v1", "all read, by ada@desk"}
	if err != nil || !slices.Equal(lines(r), want) || !slices.Contains(w.asides, "the audit log") {
		t.Errorf("got %q, %v; want %q", lines(r), err, want)
	}
}

func TestARecordingThatOnlyTheLogKnowsIsKnown(t *testing.T) {
	w := newWorld()
	w.logged(t, nil, event.Audit{Kind: event.AuditStored, Tier: "backup", MsgID: "a", Time: time.Unix(1000, 0), Data: event.AuditData{Tier: "backup"}})
	if r, err := w.Find(t.Context(), "emea/rec-1"); err != nil || r.Status != ledger.Pending || r.Backup != nil || len(r.Timeline) != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestSealedAndTailAreToldTogether(t *testing.T) {
	one, two := Entry{What: "one"}, Entry{What: "two"}
	tail := func(_ context.Context, _ string, sealed uint64) ([]Entry, bool, error) {
		return []Entry{two}, sealed == 7, nil
	}
	told, err := Log(tail, func(context.Context, string) ([]Entry, uint64, error) { return []Entry{one}, 7, nil })(t.Context(), "rec-1")
	if err != nil || len(told) != 2 {
		t.Errorf("got %+v, %v", told, err)
	}
	if told, err = Log(tail, nil)(t.Context(), "rec-1"); !errors.Is(err, ErrTail) || len(told) != 1 {
		t.Errorf("without a sealed log: %+v, %v", told, err)
	}
	if told, err = Log(tail, func(context.Context, string) ([]Entry, uint64, error) { return nil, 0, errAway })(t.Context(), "rec-1"); !errors.Is(err, errAway) || len(told) != 1 {
		t.Errorf("with a sealed log that is away: %+v, %v", told, err)
	}
}

func TestAnAuditEventOfAnotherTellsNothing(t *testing.T) {
	for _, body := range []string{
		`{}`, `?`, `{"type":"com.twinreel.audit.stored.v1","data":{"idempotencyKey":"rec-2"}}`, `{"type":"com.twinreel.audit.stored.v9","data":{"idempotencyKey":"rec-1"}}`,
		`{"type":"com.twinreel.recording.completed.v1","data":{"idempotencyKey":"rec-1"}}`,
	} {
		if e, ok := FromAudit([]byte(body), "rec-1"); ok {
			t.Errorf("%s: got %+v", body, e)
		}
	}
	e, ok := FromAudit([]byte(`{"type":"com.twinreel.audit.forgotten.v1","data":{"idempotencyKey":"rec-1","reason":"see https://x.example.com/?sig=s3cret"}}`), "rec-1")
	if !ok || e.Tier != "all" || strings.Contains(e.What, "s3cret") {
		t.Errorf("got %+v", e)
	}
}
