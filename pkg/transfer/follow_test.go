package transfer_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/transfer"
)

// followed is a world whose copiers follow a peer region, which is another world over the same stores.
type followed struct {
	*world
	home      *world
	homeHolds map[tier.Tier]bool // what the home's log says of each tier
}

func newFollowed(t *testing.T) *followed {
	t.Helper()
	f := &followed{newWorld(t), newWorld(t), map[tier.Tier]bool{}}
	for _, tr := range tier.All() {
		f.stores[tr] = f.home.stores[tr]
		c := f.copiers[tr]
		c.Store = f.stores[tr]
		c.Agreement = &digest.Regions{Own: f.agreement, Peer: f.home.agreement, Follow: true}
		c.Elsewhere = func(context.Context, transfer.Job) (bool, error) { return f.homeHolds[tr.Sibling()], nil }
	}
	return f
}

// given a recording that home brought to its end, when it is followed, then nothing is fetched or written, and the log here
// tells of it; also when home's entry is gone.
func TestWhatHomeStoredIsLookedAtAndNoMore(t *testing.T) {
	for _, freed := range []bool{false, true} {
		f := newFollowed(t)
		job := f.home.job("rec-1", media(100))
		for _, tr := range tier.All() {
			f.home.must(tr, job, transfer.Stored)
		}
		if freed {
			f.home.agreement.Purge(event.HashKey("rec-1"))
		}
		for _, tr := range tier.All() {
			puts, tags := f.stores[tr].Calls(memstore.Put), f.stores[tr].Calls(memstore.Tag)
			f.must(tr, again(job), transfer.AlreadyPresent)
			if f.stores[tr].Calls(memstore.Put) != puts || f.stores[tr].Calls(memstore.Tag) != tags {
				t.Errorf("freed %v, %s: something was written", freed, tr)
			}
			if n := f.audit.count(event.AuditAlreadyPresent, tr); n != 1 {
				t.Errorf("freed %v, %s: %d audit events", freed, tr, n)
			}
		}
		if f.source.opened != 0 {
			t.Errorf("fetched %d times", f.source.opened)
		}
	}
}

// given a recording that home left without its sidecar, when it is followed, then the home's sidecar is written.
func TestWhatHomeLeftUndoneIsFinished(t *testing.T) {
	f := newFollowed(t)
	job := f.home.job("rec-1", media(100))
	f.home.audit.fail = errBroken // after the sidecar
	f.home.refused(tier.Primary, job, fault.Unavailable)
	f.stores[tier.Primary].Lose(event.SidecarKey("rec-1"))
	f.must(tier.Primary, again(job), transfer.AlreadyPresent)
	f.holds(tier.Primary, job, media(100))
}

// given a recording of which home agreed on some bytes, when its tier lacks it, then only those are stored: with others it is a
// conflict, and nothing is agreed on here.
func TestHomesEntryIsObeyed(t *testing.T) {
	f := newFollowed(t)
	body := media(100)
	job := f.home.job("rec-1", body)
	f.home.must(tier.Primary, job, transfer.Stored)
	f.homeHolds[tier.Primary] = true // the entry is known, so that this is no hindrance
	other := media(100)
	other[99]++
	f.source.put(job.Event.Data.Media.URL, other)
	f.refused(tier.Backup, again(job), fault.Conflict)
	f.empty(tier.Backup)
	f.source.put(job.Event.Data.Media.URL, body)
	f.must(tier.Backup, again(job), transfer.Stored)
	f.holds(tier.Backup, job, body)
	if f.sidecar(tier.Backup, job) != f.sidecar(tier.Primary, job) {
		t.Error("the sidecars differ")
	}
	if _, err := f.agreement.Get(t.Context(), event.HashKey("rec-1")); !errors.Is(err, digest.ErrNoEntry) {
		t.Errorf("an entry here: %v", err)
	}
}

// given a recording whose sibling copy home made, and whose entry did not come over, when its tier lacks it, then nothing is
// fetched: it waits for a redrive from that copy, and takes its bytes.
func TestWithoutHomesEntryASiblingsCopyIsWaitedFor(t *testing.T) {
	f := newFollowed(t)
	body := media(100)
	job := f.home.job("rec-1", body)
	f.home.must(tier.Primary, job, transfer.Stored)
	f.home.agreement.Purge(event.HashKey("rec-1"))
	f.homeHolds[tier.Primary] = true
	other := media(100)
	other[99]++
	f.source.put(job.Event.Data.Media.URL, other)
	_, err := f.copy(tier.Backup, again(job))
	if !errors.Is(err, transfer.ErrAwaitsCopy) || f.source.opened != 0 {
		t.Fatalf("got %v, fetched %d times", err, f.source.opened)
	}
	f.empty(tier.Backup)

	redrive := f.job("rec-1", other, func(d *event.Data) {
		at := digest.Of(body)
		d.CopyFrom = &event.CopyFrom{URL: "https://store.example.com/copy", Size: at.Size, SHA256: at.SHA256, CRC64NVME: digest.EncodeCRC64(at.CRC64), ExpiresAt: time.Now().Add(time.Hour)}
		d.Sidecar = f.sidecar(tier.Primary, job)
	})
	redrive.Event.Type = event.TypeRedrive
	f.source.put("https://store.example.com/copy", body)
	f.copiers[tier.Backup].Sibling = f.source
	f.must(tier.Backup, again(redrive), transfer.Stored)
	f.must(tier.Backup, again(job), transfer.Duplicate)
	f.holds(tier.Backup, job, body)
}

// given a recording that home had not begun, when it is followed, then both tiers agree here and store it; and when home wakes
// and goes on, then nothing is doubled.
func TestWhatHomeHadNotBegunIsDoneHere(t *testing.T) {
	f := newFollowed(t)
	body := media(100)
	job := f.home.job("rec-1", body)
	f.source.put(job.Event.Data.Media.URL, body)
	for _, tr := range tier.All() {
		f.must(tr, again(job), transfer.Stored)
	}
	for _, tr := range tier.All() {
		f.home.must(tr, again(job), transfer.AlreadyPresent)
		f.holds(tr, job, body)
		if n := f.stores[tr].Keys(); n != 2 {
			t.Errorf("%s holds %d objects", tr, n)
		}
	}
}

// given a recording that was forgotten at home, when it is followed, or comes in here, then it is not even fetched.
func TestWhatHomeForgotIsForgottenHere(t *testing.T) {
	f := newFollowed(t)
	job := f.home.job("rec-1", media(100))
	if _, err := f.home.agreement.Agree(t.Context(), event.HashKey("rec-1"), digest.Entry{Forgotten: true}); err != nil {
		t.Fatal(err)
	}
	f.must(tier.Primary, again(job), transfer.Forgotten)
	f.copiers[tier.Backup].Agreement = &digest.Regions{Own: f.agreement, Peer: f.home.agreement}
	f.copiers[tier.Backup].Elsewhere = nil
	f.must(tier.Backup, f.job("rec-1", media(100)), transfer.Forgotten)
	f.empty(tier.Primary)
	f.empty(tier.Backup)
}

// given a home whose log cannot be read, when a tier lacks a recording, then nothing is decided.
func TestWithoutTheWordOfHomesLogNothingIsAgreedOn(t *testing.T) {
	f := newFollowed(t)
	job := f.home.job("rec-1", media(100))
	f.copiers[tier.Primary].Elsewhere = func(context.Context, transfer.Job) (bool, error) { return false, errBroken }
	f.refused(tier.Primary, again(job), fault.Unavailable)
	f.empty(tier.Primary)
}
