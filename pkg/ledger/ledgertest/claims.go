package ledgertest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/tier"
)

// claimers is how many try at once to claim one recording.
const claimers = 32

func exclusive(t *testing.T, d Driver) {
	id := recording()
	var won, held atomic.Int32
	var all sync.WaitGroup
	start := make(chan struct{})
	for range claimers {
		all.Go(func() {
			<-start
			c, err := d.Ledger.Claim(t.Context(), id, tier.Primary)
			switch {
			case err != nil:
				t.Errorf("claim: %v", err)
			case c.State == ledger.Claimed:
				won.Add(1)
			case c.State == ledger.Held:
				held.Add(1)
			}
		})
	}
	close(start)
	all.Wait()
	if won.Load() != 1 || held.Load() != claimers-1 {
		t.Errorf("%d won, %d found it held", won.Load(), held.Load())
	}
}

func released(t *testing.T, d Driver) {
	id := recording()
	first := mustClaim(t, d, id, tier.Backup)
	wantState(t, d, id, tier.Backup, ledger.Held)
	must(t, "release", first.Lease.Release(t.Context(), true))
	second := mustClaim(t, d, id, tier.Backup)
	wantLost(t, "renew after release", first.Lease.Renew(t.Context()))
	must(t, "renew", second.Lease.Renew(t.Context()))
}

func apart(t *testing.T, d Driver) {
	a, b := recording(), recording()
	mustClaim(t, d, a, tier.Primary)
	mustClaim(t, d, a, tier.Backup)
	mustClaim(t, d, b, tier.Primary)
}

func lapsed(t *testing.T, d Driver) {
	id := recording()
	old := mustClaim(t, d, id, tier.Primary)
	d.Pass(t, id, tier.Primary, ledger.LeaseTime)
	wantLost(t, "renew", old.Lease.Renew(t.Context()))
	wantLost(t, "opened", old.Lease.Opened(t.Context(), "u"))
	_, err := old.Lease.Finish(t.Context(), copyOf(id, tier.Primary))
	wantLost(t, "finish", err)
	if _, err := d.Ledger.Record(t.Context(), id); !errors.Is(err, ledger.ErrNoRecord) {
		t.Errorf("a lost lease wrote a record: %v", err)
	}
	must(t, "release", old.Lease.Release(t.Context(), true))
	mustClaim(t, d, id, tier.Primary)
}

func renewed(t *testing.T, d Driver) {
	id := recording()
	c := mustClaim(t, d, id, tier.Primary)
	for range 4 {
		d.Pass(t, id, tier.Primary, ledger.RenewEvery)
		must(t, "renew", c.Lease.Renew(t.Context()))
	}
	d.Pass(t, id, tier.Primary, ledger.LeaseTime-10*time.Second)
	must(t, "opened", c.Lease.Opened(t.Context(), "u"))
	wantState(t, d, id, tier.Primary, ledger.Held)
	d.Pass(t, id, tier.Primary, 10*time.Second) // noting an upload renews nothing
	mustClaim(t, d, id, tier.Primary)
}

func takeover(t *testing.T, d Driver) {
	id := recording()
	old := mustClaim(t, d, id, tier.Primary)
	must(t, "opened", old.Lease.Opened(t.Context(), "old"))
	d.Pass(t, id, tier.Primary, ledger.LeaseTime)
	next := mustClaim(t, d, id, tier.Primary)
	must(t, "opened", next.Lease.Opened(t.Context(), "new"))

	wantLost(t, "renew", old.Lease.Renew(t.Context()))
	wantLost(t, "opened", old.Lease.Opened(t.Context(), "older"))
	_, err := old.Lease.Finish(t.Context(), copyOf(id, tier.Primary))
	wantLost(t, "finish", err)
	must(t, "release", old.Lease.Release(t.Context(), false))
	must(t, "release", old.Lease.Release(t.Context(), true))

	must(t, "renew", next.Lease.Renew(t.Context()))
	d.Pass(t, id, tier.Primary, ledger.LeaseTime)
	if c := mustClaim(t, d, id, tier.Primary); c.Orphan != "new" {
		t.Errorf("orphan %q, want the successor's", c.Orphan)
	}
}

func orphan(t *testing.T, d Driver) {
	id := recording()
	dead := mustClaim(t, d, id, tier.Backup)
	if dead.Orphan != "" {
		t.Errorf("orphan %q out of nothing", dead.Orphan)
	}
	must(t, "opened", dead.Lease.Opened(t.Context(), "upload:1/a b"))
	if c := claim(t, d, id, tier.Backup); c.Orphan != "" {
		t.Errorf("the upload %q of a living holder was given away", c.Orphan)
	}
	d.Pass(t, id, tier.Backup, ledger.LeaseTime)
	next := mustClaim(t, d, id, tier.Backup)
	if next.Orphan != "upload:1/a b" {
		t.Fatalf("orphan %q", next.Orphan)
	}
	must(t, "release", next.Lease.Release(t.Context(), true))
	if c := mustClaim(t, d, id, tier.Backup); c.Orphan != "" {
		t.Errorf("orphan %q once more", c.Orphan)
	}
	if c := mustClaim(t, d, id, tier.Primary); c.Orphan != "" {
		t.Errorf("orphan %q of the other tier", c.Orphan)
	}
}

func orphanAgain(t *testing.T, d Driver) {
	id := recording()
	must(t, "opened", mustClaim(t, d, id, tier.Primary).Lease.Opened(t.Context(), "u1"))
	d.Pass(t, id, tier.Primary, ledger.LeaseTime)
	mustClaim(t, d, id, tier.Primary) // dies before it can abort it
	d.Pass(t, id, tier.Primary, ledger.LeaseTime)
	third := mustClaim(t, d, id, tier.Primary)
	if third.Orphan != "u1" {
		t.Fatalf("orphan %q, want that of the first", third.Orphan)
	}
	must(t, "opened", third.Lease.Opened(t.Context(), "u2"))
	must(t, "release", third.Lease.Release(t.Context(), false))
	if c := mustClaim(t, d, id, tier.Primary); c.Orphan != "u2" {
		t.Errorf("orphan %q, want that of the third", c.Orphan)
	}
}

func orphanDone(t *testing.T, d Driver) {
	id := recording()
	must(t, "opened", mustClaim(t, d, id, tier.Primary).Lease.Opened(t.Context(), "u"))
	d.Pass(t, id, tier.Primary, ledger.LeaseTime)
	_, err := d.Ledger.Finished(t.Context(), id, tier.Primary, copyOf(id, tier.Primary))
	must(t, "finished", err)
	for _, want := range []string{"u", ""} {
		if c := claim(t, d, id, tier.Primary); c.State != ledger.Done || c.Orphan != want {
			t.Errorf("state %v, orphan %q, want done and %q", c.State, c.Orphan, want)
		}
	}
}

func noOrphan(t *testing.T, d Driver) {
	id := recording()
	c := mustClaim(t, d, id, tier.Primary)
	must(t, "opened", c.Lease.Opened(t.Context(), "u"))
	d.Pass(t, id, tier.Primary, ledger.LeaseTime)
	must(t, "release", c.Lease.Release(t.Context(), true)) // too late for the claim, but the upload is closed
	if c := mustClaim(t, d, id, tier.Primary); c.Orphan != "" {
		t.Errorf("orphan %q, though it was closed", c.Orphan)
	}
}

func done(t *testing.T, d Driver) {
	id := recording()
	c := mustClaim(t, d, id, tier.Primary)
	must(t, "opened", c.Lease.Opened(t.Context(), "u"))
	r, err := c.Lease.Finish(t.Context(), copyOf(id, tier.Primary))
	must(t, "finish", err)
	if r.Status != ledger.Partial || r.Primary == nil || r.Backup != nil {
		t.Errorf("record %+v", r)
	}
	d.Pass(t, id, tier.Primary, ledger.LeaseTime) // done is no lease
	for range 2 {
		if c := claim(t, d, id, tier.Primary); c.State != ledger.Done || c.Orphan != "" {
			t.Errorf("state %v, orphan %q", c.State, c.Orphan)
		}
	}
	wantLost(t, "renew", c.Lease.Renew(t.Context()))
	_, err = c.Lease.Finish(t.Context(), copyOf(id, tier.Primary))
	wantLost(t, "finish again", err)
	must(t, "release", c.Lease.Release(t.Context(), true))
	wantState(t, d, id, tier.Primary, ledger.Done)
	mustClaim(t, d, id, tier.Backup)
}

func finishedHeld(t *testing.T, d Driver) {
	id := recording()
	c := mustClaim(t, d, id, tier.Primary)
	r, err := d.Ledger.Finished(t.Context(), id, tier.Primary, copyOf(id, tier.Primary))
	must(t, "finished", err)
	if r.Primary == nil {
		t.Error("the copy is not in the record")
	}
	must(t, "renew", c.Lease.Renew(t.Context()))
	wantState(t, d, id, tier.Primary, ledger.Held)
	_, err = c.Lease.Finish(t.Context(), copyOf(id, tier.Primary))
	must(t, "finish", err)
	wantState(t, d, id, tier.Primary, ledger.Done)
}

func finishedFree(t *testing.T, d Driver) {
	id := recording()
	for range 2 {
		_, err := d.Ledger.Finished(t.Context(), id, tier.Backup, copyOf(id, tier.Backup))
		must(t, "finished", err)
		wantState(t, d, id, tier.Backup, ledger.Done)
	}
}

func forgets(t *testing.T, d Driver) {
	id := recording()
	c := mustClaim(t, d, id, tier.Primary)
	must(t, "opened", c.Lease.Opened(t.Context(), "u"))
	_, err := d.Ledger.Fail(t.Context(), id, tier.Primary, ledger.Message{Stream: "S", Sequence: 1}, ledger.Failure{At: began()})
	must(t, "fail", err)
	d.Forget(t)
	wantLost(t, "renew", c.Lease.Renew(t.Context()))
	_, err = c.Lease.Finish(t.Context(), copyOf(id, tier.Primary))
	wantLost(t, "finish", err)
	must(t, "release", c.Lease.Release(t.Context(), false))
	if _, err := d.Ledger.Record(t.Context(), id); !errors.Is(err, ledger.ErrNoRecord) {
		t.Errorf("record: %v", err)
	}
	if c := mustClaim(t, d, id, tier.Primary); c.Orphan != "" {
		t.Errorf("orphan %q out of an empty ledger", c.Orphan)
	}
	r, err := d.Ledger.Finished(t.Context(), id, tier.Primary, copyOf(id, tier.Primary))
	must(t, "finished", err)
	if r.Status != ledger.Partial || r.RetryCount != 0 {
		t.Errorf("record %+v", r)
	}
}
