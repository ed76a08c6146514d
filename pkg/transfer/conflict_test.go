package transfer_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/transfer"
)

func TestAnEventThatContradictsTheAgreementStoresNothing(t *testing.T) {
	body := media(100)
	wrong := int64(99)
	for name, change := range map[string]func(*event.Data){
		"another format": func(d *event.Data) { d.Media.Format = "mp3" },
		"another size":   func(d *event.Data) { d.Media.Size = &wrong },
		"another sha256": func(d *event.Data) { d.Media.SHA256 = digest.Of([]byte("x")).SHA256 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			good, bad := w.job("rec-1", body), w.job("rec-1", body, change)
			w.must(tier.Primary, good, transfer.Stored)
			// The other tier meets the contradicting event first.
			if _, err := w.copy(tier.Backup, bad); err == nil {
				t.Fatal("stored")
			}
			w.refused(tier.Backup, again(bad), fault.Conflict)
			w.refused(tier.Primary, again(bad), fault.Conflict)
			w.must(tier.Backup, good, transfer.Stored)
			w.refused(tier.Backup, again(bad), fault.Conflict)
			for _, tr := range tier.All() {
				w.holds(tr, good, body)
				if n := w.stores[tr].Keys(); n != 2 {
					t.Errorf("%s: %d objects", tr, n)
				}
			}
		})
	}
}

func TestALargeContradictingRecordingIsNotEvenSent(t *testing.T) {
	w := newWorld(t)
	good := w.job("rec-1", media(3*part))
	w.must(tier.Primary, good, transfer.Stored)
	bad := w.job("rec-1", media(3*part), func(d *event.Data) { d.Media.Format = "mp3" })
	w.refused(tier.Backup, bad, fault.Conflict)
	if n := w.stores[tier.Backup].Calls(memstore.Create); n != 0 {
		t.Errorf("%d uploads were opened", n)
	}
}

func TestTheTierThatReadsOtherBytesDoesNotCommit(t *testing.T) {
	for _, n := range []int{100, 3 * part} {
		w := newWorld(t)
		job := w.job("rec-1", media(n))
		w.must(tier.Primary, job, transfer.Stored)
		other := media(n)
		other[n-1]++
		w.source.put(job.Event.Data.Media.URL, other)
		w.refused(tier.Backup, job, fault.Conflict)
		w.empty(tier.Backup)
		w.source.put(job.Event.Data.Media.URL, media(n))
		w.must(tier.Backup, again(job), transfer.Stored)
	}
}

// committing is the call that makes a recording of n bytes visible.
func committing(n int) memstore.Op {
	if n <= part {
		return memstore.Put
	}
	return memstore.Commit
}

func TestALostAnswerIsSettledByAStat(t *testing.T) {
	for _, n := range []int{100, 3 * part} {
		w := newWorld(t)
		lost := memstore.Nth(1, fault.New(fault.Unavailable, fault.Store, "put", objstore.ErrUnknown))
		w.stores[tier.Primary].After(committing(n), lost)
		job := w.job("rec-1", media(n))
		w.must(tier.Primary, job, transfer.AlreadyPresent)
		w.holds(tier.Primary, job, media(n))
	}
}

func TestARefusedCommitWithNothingThereIsTriedAgain(t *testing.T) {
	for _, n := range []int{100, 3 * part} {
		w := newWorld(t)
		refused := memstore.Nth(1, fault.New(fault.Unavailable, fault.Store, "put", objstore.ErrUnknown))
		w.stores[tier.Primary].Before(committing(n), refused)
		job := w.job("rec-1", media(n))
		w.refused(tier.Primary, job, fault.Transient)
		w.empty(tier.Primary)
		w.must(tier.Primary, again(job), transfer.Stored)
	}
}

func TestWhatIsThereIsNeverOverwritten(t *testing.T) {
	for _, n := range []int{100, 3 * part} {
		for name, there := range map[string]memstore.Object{
			"other bytes":       {Body: append(media(n-1), 'x')},
			"another size":      {Body: media(n + 1)},
			"size, no checksum": {Body: media(n + 1), NoChecksum: true},
		} {
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
				w := newWorld(t)
				job := w.job("rec-1", media(n))
				w.stores[tier.Primary].Plant(job.Event.Data.ObjectKey, there)
				w.refused(tier.Primary, job, fault.Conflict)
				w.refused(tier.Primary, again(job), fault.Conflict)
				o, _ := w.stores[tier.Primary].Object(job.Event.Data.ObjectKey)
				if string(o.Body) != string(there.Body) {
					t.Error("the object was overwritten")
				}
			})
		}
	}
}

func TestTheRightSizeWithoutAChecksumIsAcceptedUnverified(t *testing.T) {
	w := newWorld(t)
	job := w.job("rec-1", media(100))
	w.stores[tier.Primary].Plant(job.Event.Data.ObjectKey, memstore.Object{Body: media(100), NoChecksum: true})
	w.must(tier.Primary, job, transfer.AcceptedUnverified)
	if w.audit.count(event.AuditAcceptedUnverified, tier.Primary) != 1 {
		t.Error("not audited as such")
	}
}

func TestAnOlderSidecarIsTheAgreement(t *testing.T) {
	w := newWorld(t)
	first := w.job("rec-1", media(100))
	w.must(tier.Primary, first, transfer.Stored)
	w.must(tier.Backup, first, transfer.Stored)
	was := w.sidecar(tier.Primary, first)
	w.agreement.Purge(event.HashKey("rec-1")) // both tiers were confirmed
	w.ledger.Clear()

	late := w.job("rec-1", media(100), func(d *event.Data) { d.Tags = map[string]string{"queue": "other"} })
	w.must(tier.Primary, late, transfer.AlreadyPresent)
	if w.sidecar(tier.Primary, first) != was {
		t.Error("the sidecar was replaced")
	}
	held, err := w.agreement.Get(t.Context(), event.HashKey("rec-1"))
	if err != nil || string(held.Sidecar) != was {
		t.Errorf("the entry does not name the older sidecar: %s %v", held.Sidecar, err)
	}
	w.agreement.Purge(event.HashKey("rec-1"))
	w.ledger.Clear()
	contradicting := w.job("rec-1", media(101))
	w.refused(tier.Primary, contradicting, fault.Conflict)
	w.holds(tier.Primary, first, media(100))
}

func TestAFailedLookForTheOlderSidecarLeavesNoWrongEntry(t *testing.T) {
	w := newWorld(t)
	good := w.job("rec-1", media(100))
	w.must(tier.Primary, good, transfer.Stored)
	w.must(tier.Backup, good, transfer.Stored)
	w.agreement.Purge(event.HashKey("rec-1"))
	w.ledger.Clear()
	for _, tr := range tier.All() {
		w.stores[tr].Before(memstore.ReadSidecar, memstore.Nth(w.stores[tr].Calls(memstore.ReadSidecar)+1, fault.New(fault.Unavailable, fault.Store, "read", errBroken)))
	}
	other := w.job("rec-1", media(100), func(d *event.Data) { d.Media.Format = "mp3" })
	for _, tr := range tier.All() {
		w.refused(tr, other, fault.Unavailable)
		w.refused(tr, again(other), fault.Conflict)
	}
	for _, tr := range tier.All() {
		w.must(tr, again(good), transfer.AlreadyPresent)
		if n := w.stores[tr].Keys(); n != 2 {
			t.Errorf("%s: %d objects", tr, n)
		}
	}
}

func TestAnAgreementThatChangedDuringTheCommitIsEvidence(t *testing.T) {
	w := newWorld(t)
	job := w.job("rec-1", media(100))
	w.stores[tier.Primary].After(memstore.Put, func(ctx context.Context, c memstore.Call) error {
		if c.N != 1 {
			return nil
		}
		w.agreement.Purge(event.HashKey("rec-1"))
		_, err := w.agreement.Agree(ctx, event.HashKey("rec-1"), digest.Entry{Digest: digest.Of([]byte("other")), ObjectKey: job.Event.Data.ObjectKey, Sidecar: []byte("{}")})
		return err
	})
	w.refused(tier.Primary, job, fault.Conflict)
	if w.audit.count(event.AuditConflict, tier.Primary) != 1 {
		t.Error("not audited")
	}
}

func TestAnAgreementThatWasWithdrawnDuringTheCommitIsMadeAgain(t *testing.T) {
	w := newWorld(t)
	job := w.job("rec-1", media(100))
	w.stores[tier.Primary].After(memstore.Put, func(_ context.Context, c memstore.Call) error {
		if c.N == 1 {
			w.agreement.Purge(event.HashKey("rec-1"))
		}
		return nil
	})
	w.must(tier.Primary, job, transfer.Stored)
	if _, err := w.agreement.Get(t.Context(), event.HashKey("rec-1")); err != nil {
		t.Errorf("no entry: %v", err)
	}
}
