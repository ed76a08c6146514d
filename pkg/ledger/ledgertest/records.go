package ledgertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/tier"
)

func fail(t *testing.T, d Driver, id string, tr tier.Tier, m ledger.Message, f ledger.Failure) ledger.Attempts {
	t.Helper()
	a, err := d.Ledger.Fail(t.Context(), id, tr, m, f)
	must(t, "fail", err)
	return a
}

func failures(t *testing.T, d Driver) {
	id, m := recording(), ledger.Message{Stream: "RECORDINGS", Sequence: 7}
	for i, step := range []struct {
		f                       ledger.Failure
		failed, counted, ofKind int
	}{
		{ledger.Failure{Kind: "source_gone"}, 1, 0, 1},
		{ledger.Failure{Counted: true}, 2, 1, 0},
		{ledger.Failure{Kind: "source_unusable"}, 3, 1, 1},
		{ledger.Failure{Kind: "source_gone", Counted: true}, 4, 2, 2},
	} {
		step.f.At = began()
		a := fail(t, d, id, tier.Primary, m, step.f)
		if a.Failed != step.failed || a.Counted != step.counted || a.OfKind != step.ofKind {
			t.Errorf("step %d: %+v", i, a)
		}
	}
	for _, other := range []ledger.Message{{Stream: "RECORDINGS", Sequence: 8}, {Stream: "OTHER", Sequence: 7}} {
		if a := fail(t, d, id, tier.Primary, other, ledger.Failure{At: began()}); a.Failed != 1 {
			t.Errorf("message %+v shares counts: %+v", other, a)
		}
	}
	if a := fail(t, d, id, tier.Backup, m, ledger.Failure{At: began()}); a.Failed != 1 {
		t.Errorf("tiers share counts: %+v", a)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := d.Ledger.Fail(t.Context(), id, tier.Backup, m, ledger.Failure{Counted: true, At: began()}); err != nil {
				t.Errorf("fail: %v", err)
			}
		})
	}
	all.Wait()
	a, err := d.Ledger.Attempts(t.Context(), id, tier.Backup, m, "")
	must(t, "attempts", err)
	if a.Failed != 21 || a.Counted != 20 {
		t.Errorf("after 20 at once: %+v", a)
	}
	if r := record(t, d, id); r.Retries != (ledger.Retries{Primary: 6, Backup: 21}) || r.RetryCount != 27 {
		t.Errorf("retries %+v, %d", r.Retries, r.RetryCount)
	}
}

func noAttempts(t *testing.T, d Driver) {
	a, err := d.Ledger.Attempts(t.Context(), recording(), tier.Primary, ledger.Message{Stream: "S", Sequence: 1}, "k")
	must(t, "attempts", err)
	if a != (ledger.Attempts{}) {
		t.Errorf("got %+v", a)
	}
}

func times(t *testing.T, d Driver) {
	id, m := recording(), ledger.Message{Stream: "S", Sequence: 1}
	at := func(n int) time.Time { return began().Add(time.Duration(n) * time.Second) }
	zone := time.FixedZone("east", 3*3600)
	for i, step := range []struct {
		kind            string
		first, previous time.Time
	}{
		{"a", at(0), time.Time{}},
		{"b", at(1), at(0)},
		{"a", at(0), at(1)},
		{"", time.Time{}, at(2)},
		{"b", at(1), at(3)},
	} {
		a := fail(t, d, id, tier.Primary, m, ledger.Failure{Kind: step.kind, At: at(i).In(zone)})
		if a.FirstOf != step.first || a.Previous != step.previous {
			t.Errorf("step %d: first %s, previous %s", i, a.FirstOf, a.Previous)
		}
	}
	a, err := d.Ledger.Attempts(t.Context(), id, tier.Primary, m, "a")
	must(t, "attempts", err)
	if want := (ledger.Attempts{Failed: 5, OfKind: 2, FirstOf: at(0), Previous: at(4)}); a != want {
		t.Errorf("as they are: %+v, want %+v", a, want)
	}
}

func noRecord(t *testing.T, d Driver) {
	id := recording()
	none := func(when string) {
		t.Helper()
		if _, err := d.Ledger.Record(t.Context(), id); !errors.Is(err, ledger.ErrNoRecord) {
			t.Errorf("%s: %v", when, err)
		}
	}
	none("at first")
	mustClaim(t, d, id, tier.Primary)
	none("with a claim alone")
	must(t, "letter", d.Ledger.Letter(t.Context(), id, tier.Primary, ""))
	none("after a letter that never was is gone")
	must(t, "letter", d.Ledger.Letter(t.Context(), id, tier.Primary, "source_gone"))
	must(t, "letter", d.Ledger.Letter(t.Context(), id, tier.Primary, ""))
	none("after the only letter is gone")
}

// everyOrder lets two copies, a failure and a letter that stays come in each order: the record is the same.
func everyOrder(t *testing.T, d Driver) {
	steps := []func(id string){
		func(id string) {
			_, err := mustClaim(t, d, id, tier.Primary).Lease.Finish(t.Context(), copyOf(id, tier.Primary))
			must(t, "finish", err)
		},
		func(id string) {
			_, err := d.Ledger.Finished(t.Context(), id, tier.Backup, copyOf(id, tier.Backup))
			must(t, "finished", err)
		},
		func(id string) {
			fail(t, d, id, tier.Backup, ledger.Message{Stream: "S", Sequence: 1}, ledger.Failure{At: began()})
			if r := record(t, d, id); r.IdempotencyKey != id || "west/"+r.RecordingID != id {
				t.Errorf("named %q, %q", r.IdempotencyKey, r.RecordingID)
			}
		},
	}
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		id := recording()
		for _, n := range order {
			steps[n](id)
		}
		primary, backup := copyOf(id, tier.Primary).Stored, copyOf(id, tier.Backup).Stored
		want := ledger.Record{
			RecordingID: id[len("west/"):], IdempotencyKey: id, Status: ledger.Completed, Primary: &primary, Backup: &backup,
			RetryCount: 1, Retries: ledger.Retries{Backup: 1}, SHA256: "ab12", Size: 5 << 32, ReceivedAt: began(),
		}
		if got := record(t, d, id); !reflect.DeepEqual(got, want) {
			t.Errorf("order %v:\n got %s\nwant %s", order, show(got), show(want))
		}
	}
}

func show(r ledger.Record) string {
	b, err := json.Marshal(r)
	return fmt.Sprintf("%s %s %v %v", b, r.ReceivedAt, r.Letters, err)
}

func statuses(t *testing.T, d Driver) {
	none, primary, both := []tier.Tier{}, []tier.Tier{tier.Primary}, []tier.Tier{tier.Primary, tier.Backup}
	for _, c := range []struct {
		copies, letters []tier.Tier
		want            ledger.Status
	}{
		{none, primary, ledger.Failed},
		{none, both, ledger.Failed},
		{primary, none, ledger.Partial},
		{primary, []tier.Tier{tier.Backup}, ledger.Partial},
		{primary, both, ledger.Partial},
		{both, none, ledger.Completed},
	} {
		id := recording()
		for _, tr := range c.copies {
			_, err := d.Ledger.Finished(t.Context(), id, tr, copyOf(id, tr))
			must(t, "finished", err)
		}
		for _, tr := range c.letters {
			must(t, "letter", d.Ledger.Letter(t.Context(), id, tr, "source_gone"))
		}
		r := record(t, d, id)
		if r.Status != c.want || len(r.Letters) != len(c.letters) {
			t.Errorf("copies %v, letters %v: %s with %v, want %s", c.copies, c.letters, r.Status, r.Letters, c.want)
		}
	}
	id := recording()
	must(t, "letter", d.Ledger.Letter(t.Context(), id, tier.Primary, "digest_conflict"))
	must(t, "letter", d.Ledger.Letter(t.Context(), id, tier.Backup, "source_gone"))
	_, err := mustClaim(t, d, id, tier.Primary).Lease.Finish(t.Context(), copyOf(id, tier.Primary))
	must(t, "finish", err)
	r := record(t, d, id)
	if want := map[tier.Tier]string{tier.Backup: "source_gone"}; !reflect.DeepEqual(r.Letters, want) || r.Status != ledger.Partial {
		t.Errorf("a copy clears its own tier's letter only: %s", show(r))
	}
	pending := recording()
	fail(t, d, pending, tier.Primary, ledger.Message{Stream: "S", Sequence: 1}, ledger.Failure{At: began()})
	if r := record(t, d, pending); r.Status != ledger.Pending {
		t.Errorf("after a failure alone: %s", r.Status)
	}
}

func ownCopy(t *testing.T, d Driver) {
	id := recording()
	_, err := d.Ledger.Finished(t.Context(), id, tier.Primary, copyOf(id, tier.Primary))
	must(t, "finished", err)
	must(t, "letter", d.Ledger.Letter(t.Context(), id, tier.Backup, "source_gone"))
	mine := record(t, d, id)
	mine.Primary.Bucket, mine.Letters[tier.Backup] = "spoilt", "spoilt"
	if r := record(t, d, id); r.Primary.Bucket == "spoilt" || r.Letters[tier.Backup] == "spoilt" {
		t.Error("one reader's record is another's")
	}
}

func provenAgain(t *testing.T, d Driver) {
	id := recording()
	first := copyOf(id, tier.Primary)
	_, err := d.Ledger.Finished(t.Context(), id, tier.Primary, first)
	must(t, "finished", err)
	again := ledger.Copy{RecordingID: first.RecordingID, ReceivedAt: began().Add(time.Hour), Stored: first.Stored}
	again.Stored.VersionID = "v2"
	r, err := d.Ledger.Finished(t.Context(), id, tier.Primary, again)
	must(t, "finished", err)
	if r.SHA256 != "ab12" || r.Size != 5<<32 || !r.ReceivedAt.Equal(began()) {
		t.Errorf("forgotten: %s", show(r))
	}
	if r.Primary.VersionID != "v2" {
		t.Errorf("the newer proof is not kept: %s", show(r))
	}
}

// ended calls every method with a context that has ended.
func ended(t *testing.T, d Driver) {
	id, m := recording(), ledger.Message{Stream: "S", Sequence: 1}
	lease := mustClaim(t, d, id, tier.Primary).Lease
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range Every(ctx, d.Ledger, lease, id, m) {
		if !fault.Is(err, fault.Unavailable, fault.Ledger) {
			t.Errorf("%s: %v, want a fault of the ledger", name, err)
		}
	}
	wantState(t, d, id, tier.Primary, ledger.Held)
}

// Every calls each method of a ledger, and of a lease unless it is nil, and returns their errors by name.
func Every(ctx context.Context, l ledger.Ledger, lease ledger.Lease, id string, m ledger.Message) map[string]error {
	out := map[string]error{"Ping": l.Ping(ctx), "Letter": l.Letter(ctx, id, tier.Primary, "source_gone")}
	_, out["Claim"] = l.Claim(ctx, id, tier.Primary)
	_, out["Finished"] = l.Finished(ctx, id, tier.Primary, copyOf("west/"+id, tier.Primary))
	_, out["Fail"] = l.Fail(ctx, id, tier.Primary, m, ledger.Failure{Kind: "source_gone", At: began()})
	_, out["Attempts"] = l.Attempts(ctx, id, tier.Primary, m, "")
	_, out["Record"] = l.Record(ctx, id)
	if lease != nil {
		out["Renew"], out["Opened"], out["Release"] = lease.Renew(ctx), lease.Opened(ctx, "u"), lease.Release(ctx, true)
		_, out["Finish"] = lease.Finish(ctx, copyOf("west/"+id, tier.Primary))
	}
	return out
}
