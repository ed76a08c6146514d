package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/transfer"
)

// sizes are those at which a recording's way changes.
var sizes = []int{12, 1000, part - 1, part, part + 1, 2 * part, 5*part + 7}

func TestBothTiersStoreTheSameBytesAndTheSameSidecar(t *testing.T) {
	for _, n := range sizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := newWorld(t)
			job := w.job("rec-1", media(n))
			for _, tr := range tier.All() {
				w.must(tr, job, transfer.Stored)
				w.holds(tr, job, media(n))
				if w.audit.count(event.AuditStored, tr) != 1 {
					t.Errorf("%s: not audited once", tr)
				}
			}
			if w.sidecar(tier.Primary, job) != w.sidecar(tier.Backup, job) {
				t.Error("the sidecars differ")
			}
			rec, err := w.ledger.Record(t.Context(), "rec-1")
			if err != nil || rec.Status != ledger.Completed || rec.SHA256 != digest.Of(media(n)).SHA256 || rec.Size != int64(n) {
				t.Errorf("record %+v %v", rec, err)
			}
		})
	}
}

func TestMediaOfUnknownLengthAreStoredWhenTheirHashIsKnown(t *testing.T) {
	for _, n := range sizes {
		w := newWorld(t)
		job := w.job("rec-1", media(n), func(d *event.Data) { d.Media.SHA256 = digest.Of(media(n)).SHA256 })
		w.must(tier.Primary, job, transfer.Stored)
		w.holds(tier.Primary, job, media(n))
	}
}

func TestTheObjectHasTheTagsOfTheAgreement(t *testing.T) {
	w := newWorld(t)
	first := w.job("rec-1", media(3*part))
	second := w.job("rec-1", media(3*part), func(d *event.Data) { d.Tags = map[string]string{"queue": "sales", "x": "y"} })
	w.must(tier.Primary, first, transfer.Stored)
	w.must(tier.Backup, second, transfer.Stored)
	for _, tr := range tier.All() {
		o, _ := w.stores[tr].Object(first.Event.Data.ObjectKey)
		if o.Tags["queue"] != "billing" || o.Tags["recording-id"] != "rec-1" || o.Tags["source"] != "default" || len(o.Tags) != 3 {
			t.Errorf("%s: %v", tr, o.Tags)
		}
		if o.ContentType != "audio/wav" {
			t.Errorf("%s: %s", tr, o.ContentType)
		}
	}
	if w.sidecar(tier.Primary, first) != w.sidecar(tier.Backup, first) {
		t.Error("the sidecars differ")
	}
}

func TestARedeliveryLooksBeforeItFetches(t *testing.T) {
	w := newWorld(t)
	job := w.job("rec-1", media(100))
	w.must(tier.Primary, job, transfer.Stored)
	w.ledger.Clear()
	w.must(tier.Primary, again(job), transfer.AlreadyPresent)
	if w.source.opened != 1 {
		t.Errorf("fetched %d times", w.source.opened)
	}
}

func TestDoneSavesTheFetchButNotTheStat(t *testing.T) {
	w := newWorld(t)
	job := w.job("rec-1", media(100))
	w.must(tier.Primary, job, transfer.Stored)
	w.must(tier.Primary, w.job("rec-1", media(100)), transfer.Duplicate)
	if w.source.opened != 1 {
		t.Errorf("fetched %d times", w.source.opened)
	}
	if w.audit.count(event.AuditAlreadyPresent, tier.Primary) != 1 {
		t.Error("the duplicate is not audited as already present")
	}
	w.stores[tier.Primary].Lose(job.Event.Data.ObjectKey)
	w.must(tier.Primary, w.job("rec-1", media(100)), transfer.Stored)
	w.holds(tier.Primary, job, media(100))
}

func TestARedriveIgnoresDone(t *testing.T) {
	w := newWorld(t)
	job := w.job("rec-1", media(100))
	w.must(tier.Primary, job, transfer.Stored)
	job.Event.Type = event.TypeRedrive
	w.must(tier.Primary, again(job), transfer.AlreadyPresent)
	w.stores[tier.Primary].Lose(job.Event.Data.ObjectKey)
	w.must(tier.Primary, again(job), transfer.Stored)
}

func TestAHeldClaimIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	job := w.job("rec-1", media(100))
	if _, err := w.ledger.Claim(t.Context(), "rec-1", tier.Primary); err != nil {
		t.Fatal(err)
	}
	if _, err := w.copy(tier.Primary, job); !errors.Is(err, transfer.ErrHeld) {
		t.Fatalf("got %v", err)
	}
	w.must(tier.Backup, job, transfer.Stored) // the sibling has a claim of its own
	w.empty(tier.Primary)
}

func TestAClaimIsFreeAgainAfterAFailure(t *testing.T) {
	w := newWorld(t)
	job := w.job("rec-1", media(3*part))
	w.stores[tier.Primary].Before(memstore.Part, memstore.Nth(2, errBroken))
	if _, err := w.copy(tier.Primary, job); !errors.Is(err, errBroken) {
		t.Fatalf("got %v", err)
	}
	w.empty(tier.Primary)
	w.must(tier.Primary, again(job), transfer.Stored)
}

func TestTheNextHolderAbortsTheOrphanedUpload(t *testing.T) {
	w := newWorld(t)
	job := w.job("rec-1", media(3*part))
	claim, err := w.ledger.Claim(t.Context(), "rec-1", tier.Primary)
	if err != nil {
		t.Fatal(err)
	}
	orphan, err := w.stores[tier.Primary].Create(t.Context(), job.Event.Data.ObjectKey, objstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := claim.Lease.Opened(t.Context(), orphan.ID()); err != nil {
		t.Fatal(err)
	}
	if err := claim.Lease.Release(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	w.must(tier.Primary, again(job), transfer.Stored)
	w.holds(tier.Primary, job, media(3*part))
}

func TestAnOrphanThatCannotBeAbortedWhileTheStoreIsAwayIsAbortedLater(t *testing.T) {
	w := newWorld(t)
	store := w.stores[tier.Primary]
	job := w.job("rec-1", media(3*part))
	away := memstore.Always(fault.New(fault.Unavailable, fault.Store, "any", errBroken))
	for _, op := range []memstore.Op{memstore.Commit, memstore.Abort, memstore.Abandon, memstore.Stat} {
		store.Before(op, away)
	}
	for range 3 {
		w.refused(tier.Primary, job, fault.Unavailable)
	}
	if n := store.OpenUploads(); n != 1 {
		t.Fatalf("%d uploads are open while the store is away", n)
	}
	store.Heal()
	w.must(tier.Primary, again(job), transfer.Stored)
	w.holds(tier.Primary, job, media(3*part))
}

func TestAnOrphanThatMayNotBeAbortedIsNoHindrance(t *testing.T) {
	w := newWorld(t)
	store := w.stores[tier.Primary]
	job := w.job("rec-1", media(3*part))
	store.Before(memstore.Commit, memstore.Nth(1, fault.New(fault.Unavailable, fault.Store, "commit", errBroken)))
	denied := memstore.Always(fault.New(fault.Denied, fault.Store, "abort", errBroken))
	store.Before(memstore.Abort, denied)
	store.Before(memstore.Abandon, denied)
	w.refused(tier.Primary, job, fault.Unavailable)
	w.must(tier.Primary, again(job), transfer.Stored)
}

func TestWithoutTheLedgerRecordingsAreStoredAllTheSame(t *testing.T) {
	w := newWorld(t)
	w.ledger.SetAway(true)
	job := w.job("rec-1", media(3*part))
	var wg sync.WaitGroup
	for range 4 { // no claim keeps them apart
		wg.Go(func() {
			if _, err := w.copy(tier.Primary, again(job)); err != nil {
				t.Errorf("copy: %v", err)
			}
		})
	}
	wg.Wait()
	w.holds(tier.Primary, job, media(3*part))
}

func TestALostLeaseStopsBeforeTheCommit(t *testing.T) {
	w := newWorld(t)
	job := w.job("rec-1", media(100))
	w.source.hook = w.ledger.Clear // as if it had lapsed while the media were read
	if _, err := w.copy(tier.Primary, job); !errors.Is(err, ledger.ErrLost) {
		t.Fatalf("got %v", err)
	}
	w.empty(tier.Primary)
}

func TestWithoutAnAgreementThereIsNoCommit(t *testing.T) {
	w := newWorld(t)
	job := w.job("rec-1", media(3*part))
	w.source.hook = func() { w.agreement.SetAway(true) }
	_, err := w.copy(tier.Primary, job)
	if !fault.Is(err, fault.Unavailable, fault.Agreement) {
		t.Fatalf("got %v", err)
	}
	w.empty(tier.Primary)
}

func TestTheMediaMustBeWhatTheEventSays(t *testing.T) {
	w := newWorld(t)
	for _, n := range []int{100, 3 * part} {
		job := w.job("rec-1", media(n), func(d *event.Data) { d.Media.SHA256 = digest.Of([]byte("other")).SHA256 })
		w.refused(tier.Primary, job, fault.Corrupt)
		w.empty(tier.Primary)
	}
}

func TestTheSourcesFaultIsTheCopys(t *testing.T) {
	w := newWorld(t)
	w.source.fail = fault.New(fault.SourceGone, fault.Source, "get", errBroken)
	w.refused(tier.Primary, w.job("rec-1", media(100)), fault.SourceGone)
	noLink := w.job("rec-1", media(100), func(d *event.Data) { d.Media.URL = "" })
	w.refused(tier.Primary, noLink, fault.SourceGone)
	w.empty(tier.Primary)
}

func TestWithoutItsAuditEventNothingIsDone(t *testing.T) {
	w := newWorld(t)
	job := w.job("rec-1", media(100))
	w.audit.fail = errBroken
	w.refused(tier.Primary, job, fault.Unavailable)
	if _, err := w.ledger.Record(t.Context(), "rec-1"); !errors.Is(err, ledger.ErrNoRecord) {
		t.Errorf("the ledger knows of it: %v", err)
	}
	w.audit.fail = nil
	w.must(tier.Primary, again(job), transfer.AlreadyPresent)
	if w.source.opened != 1 {
		t.Errorf("fetched %d times", w.source.opened)
	}
}

func TestSettleFindsWhatAnotherAttemptStored(t *testing.T) {
	w := newWorld(t)
	job := w.job("rec-1", media(100))
	if _, found, err := w.copiers[tier.Primary].Settle(t.Context(), job); found || err != nil {
		t.Fatalf("before: %v %v", found, err)
	}
	w.must(tier.Primary, job, transfer.Stored)
	w.source.fail = errBroken
	if res, found, err := w.copiers[tier.Primary].Settle(t.Context(), job); !found || err != nil || res.Outcome != transfer.AlreadyPresent {
		t.Fatalf("after: %v %v %v", res, found, err)
	}
}

func TestManyLargeRecordingsShareFewBuffers(t *testing.T) {
	w := newWorld(t) // four buffers
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 16 {
		job := w.job(fmt.Sprintf("rec-%d", i), media(6*part+i))
		for _, tr := range tier.All() {
			wg.Go(func() {
				if _, err := w.copiers[tr].Copy(ctx, job); err != nil {
					t.Errorf("%s recording %d: %v", tr, i, err)
				}
			})
		}
	}
	wg.Wait()
}

func TestACancelledCopyLeavesNothing(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.stores[tier.Primary].After(memstore.Part, func(context.Context, memstore.Call) error { cancel(); return nil })
	if _, err := w.copiers[tier.Primary].Copy(ctx, w.job("rec-1", media(6*part))); err == nil {
		t.Fatal("finished although told to stop")
	}
	w.empty(tier.Primary)
	claim, err := w.ledger.Claim(t.Context(), "rec-1", tier.Primary)
	if err != nil || claim.State != ledger.Claimed || claim.Orphan != "" {
		t.Errorf("the claim was not given back: %+v %v", claim, err)
	}
}

func TestTheProbeLeavesNothing(t *testing.T) {
	w := newWorld(t)
	if err := transfer.Probe(t.Context(), w.stores[tier.Primary]); err != nil {
		t.Fatal(err)
	}
	w.empty(tier.Primary)
	w.stores[tier.Primary].Before(memstore.Part, memstore.Always(errBroken))
	if err := transfer.Probe(t.Context(), w.stores[tier.Primary]); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
	w.empty(tier.Primary)
}
