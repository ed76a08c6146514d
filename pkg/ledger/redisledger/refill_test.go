package redisledger_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/tier"
)

// known is what is told of rec-1's copy in a tier.
func known(t tier.Tier, version string) ledger.Record {
	r := ledger.Record{RecordingID: "rec-1", SHA256: "ab", Size: 3, ReceivedAt: time.Unix(1000, 5)}
	r.SetSide(t, &ledger.Stored{Bucket: "b", Key: "k", ETag: "e", VersionID: version, Timestamp: time.Unix(2000, 7).UTC()})
	return r
}

func (w world) refill(t *testing.T, r ledger.Record, done, want bool) ledger.Record {
	t.Helper()
	if written, err := w.Refill(t.Context(), "rec-1", r, done); err != nil || written != want {
		t.Fatalf("written: %v, want %v; %v", written, want, err)
	}
	now, err := w.Record(t.Context(), "rec-1")
	if err != nil {
		t.Fatal(err)
	}
	return now
}

func TestARefilledRecordIsAsTheWorkersWroteIt(t *testing.T) {
	w := open(t)
	for _, tr := range tier.All() {
		told := known(tr, "v1")
		c := ledger.Copy{RecordingID: "rec-1", ReceivedAt: time.Unix(1000, 5), SHA256: "ab", Size: 3, Stored: *told.Side(tr)}
		if _, err := w.Finished(t.Context(), "rec-1", tr, c); err != nil {
			t.Fatal(err)
		}
	}
	before, err := w.Record(t.Context(), "rec-1")
	if err != nil {
		t.Fatal(err)
	}
	w.forget(t)
	w.refill(t, known(tier.Primary, "v1"), true, true)
	after := w.refill(t, known(tier.Backup, "v1"), true, true)
	if !reflect.DeepEqual(after, before) {
		t.Errorf("got  %+v\nwant %+v", after, before)
	}
	if c, err := w.Claim(t.Context(), "rec-1", tier.Primary); err != nil || c.State != ledger.Done {
		t.Errorf("its claim: %v, %v", c.State, err)
	}
	w.refill(t, known(tier.Backup, "v1"), true, false) // nothing new
}

func TestARefillNeverTouchesWhatAWorkerWrote(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	copied := stored(tier.Primary)
	if _, err := w.Finished(ctx, "rec-1", tier.Primary, copied); err != nil {
		t.Fatal(err)
	}
	lease, err := w.Claim(ctx, "rec-1", tier.Backup)
	if err != nil {
		t.Fatal(err)
	}
	if r := w.refill(t, known(tier.Primary, "older"), true, false); r.Primary.Bucket != copied.Stored.Bucket || r.SHA256 != copied.SHA256 {
		t.Errorf("got %+v", r)
	}
	w.refill(t, known(tier.Backup, "v1"), true, true)
	if err := lease.Lease.Renew(ctx); err != nil {
		t.Errorf("who is at work lost his claim: %v", err)
	}
	newer := known(tier.Backup, "v2")
	if r := w.refill(t, newer, false, true); r.Backup.VersionID != "v2" {
		t.Errorf("the log's later word: %+v", r.Backup)
	}
	if _, err := w.Finished(ctx, "rec-1", tier.Backup, stored(tier.Backup)); err != nil { // meanwhile
		t.Fatal(err)
	}
	if r := w.refill(t, known(tier.Backup, "v3"), false, false); r.Backup.VersionID != "" || r.Backup.Bucket != "b-backup" {
		t.Errorf("the log's word stands over a worker's: %+v", r.Backup)
	}
}

func TestARefillKnowsLettersAndWhenItCame(t *testing.T) {
	w := open(t)
	one := ledger.Record{RecordingID: "rec-1", Letters: map[tier.Tier]string{tier.Primary: "source_gone"}, ReceivedAt: time.Unix(1000, 0)}
	r := w.refill(t, one, true, true)
	if r.Status != ledger.Failed || r.Letters[tier.Primary] != "source_gone" || !r.ReceivedAt.Equal(time.Unix(1000, 0)) || r.Primary != nil {
		t.Errorf("got %+v", r)
	}
	one.Letters[tier.Primary], one.ReceivedAt = "store_refused", time.Unix(5000, 0)
	if r = w.refill(t, one, true, true); r.Letters[tier.Primary] != "store_refused" || !r.ReceivedAt.Equal(time.Unix(1000, 0)) {
		t.Errorf("got %+v", r)
	}
	if c, err := w.Claim(t.Context(), "rec-1", tier.Primary); err != nil || c.State != ledger.Claimed {
		t.Errorf("without a copy: %v, %v", c.State, err)
	}
}

func TestARefillOfNothingMakesNoRecord(t *testing.T) {
	w := open(t)
	if written, err := w.Refill(t.Context(), "rec-1", ledger.Record{}, true); err != nil || written {
		t.Errorf("written: %v, %v", written, err)
	}
	if _, err := w.Record(t.Context(), "rec-1"); !errors.Is(err, ledger.ErrNoRecord) {
		t.Errorf("got %v", err)
	}
}
