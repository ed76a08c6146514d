package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/capacity"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
	"github.com/twinreel/twinreel/reconciler/internal/plan"
)

func full() Options { return Options{Scope: plan.Full} }

// given recordings in step, when a full run is made, then it finds nothing, asks for what capacity says and no more, frees
// every digest entry, and says so of backup's copies.
func TestARunInStepAsksForWhatCapacitySaysAndFreesTheEntries(t *testing.T) {
	b := newBed(t)
	b.settled(40)
	r := b.run(Options{Scope: plan.Full, DryRun: true})
	if r.Plan.Len() != 0 || r.Remaining != 0 || r.Plan.Expected != 40 || r.Plan.Looked != 40 {
		t.Fatalf("found %v of %+v", b.found(r), r.Plan)
	}
	want := capacity.FullRun(40)
	for _, c := range []struct {
		t     tier.Tier
		reads int64
	}{{tier.Primary, want.S3Reads}, {tier.Backup, want.AzureReads}} {
		s := b.stores[c.t]
		if got := int64(s.Calls(memstore.Stat) + s.Calls(memstore.Open) + s.Calls(memstore.Tags)); got != c.reads || s.Calls(memstore.List) != 1 {
			t.Errorf("%s was asked %d times, and for %d listings; want %d and 1", c.t, got, s.Calls(memstore.List), c.reads)
		}
	}
	if b.entries() != 40 {
		t.Errorf("a dry run left %d entries", b.entries())
	}
	if r = b.run(full()); r.Confirmed != 40 || b.entries() != 0 || b.audited(event.AuditConfirmed, "backup") != 40 {
		t.Errorf("%d confirmed, %d entries left, %d audited", r.Confirmed, b.entries(), b.audited(event.AuditConfirmed, "backup"))
	}
	if r = b.run(full()); r.Confirmed != 0 || r.Remaining != 0 || b.audited(event.AuditRun, "all") != 2 {
		t.Errorf("a second run: %+v", r)
	}
}

// given a recording whose entry was freed, when a tier loses it, then it is sent again with a link and the sibling's sidecar.
func TestWhatATierLostComesBackFromItsSibling(t *testing.T) {
	b := newBed(t)
	all := b.settled(5)
	b.run(full())
	b.lose(tier.Primary, all[2])
	r := b.run(full())
	if got := b.found(r); !slices.Equal(got, []string{"missing_primary primary recordings/rec-0002.wav copy"}) || r.Repair.Sent != 1 || r.Remaining != 1 {
		t.Fatalf("found %v, sent %d, %d remain", got, r.Repair.Sent, r.Remaining)
	}
	sent := b.redrives(tier.Primary)
	if len(sent) != 1 || sent[0].Data.CopyFrom == nil || sent[0].Data.Sidecar == "" || sent[0].Data.Reason != "repair" || sent[0].Data.Media.URL == "" {
		t.Fatalf("sent %+v", sent)
	}
	if r = b.run(full()); r.Repair.Sent != 0 || r.Remaining != 1 || len(b.redrives(tier.Primary)) != 1 {
		t.Errorf("while it is open: %v, sent %d", b.found(r), r.Repair.Sent)
	}
	b.store(all[2], tier.Primary)
	b.finish()
	if r = b.run(full()); r.Remaining != 0 || r.Plan.Len() != 0 {
		t.Errorf("after it: %v", b.found(r))
	}
}

// given more to repair than one run may, when it is not approved, then nothing is sent; when its plan's ID is, all is.
func TestAboveTheCapNothingIsSentUnlessThatPlanIsApproved(t *testing.T) {
	b := newBed(t)
	for _, e := range b.settled(130) {
		b.lose(tier.Backup, e)
	}
	r := b.run(full())
	if !r.Repair.Refused || r.Repair.Sent != 0 || r.Plan.Sends != 130 || r.Remaining != 130 || len(b.redrives(tier.Backup)) != 0 {
		t.Fatalf("sent %d of %d, refused %v", r.Repair.Sent, r.Plan.Sends, r.Repair.Refused)
	}
	o := full()
	o.Approve = "0123456789abcdef"
	if r := b.run(o); r.Repair.Sent != 0 {
		t.Errorf("another plan's approval sent %d", r.Repair.Sent)
	}
	o.Approve = r.Plan.ID.String()
	if r := b.run(o); r.Repair.Sent != 130 || len(b.redrives(tier.Backup)) != 130 {
		t.Errorf("approved, it sent %d", r.Repair.Sent)
	}
}

// given two leaders that plan the same at the same moment, when both carry it out, then each event is sent once.
func TestTwoAtOnceSendEachEventOnce(t *testing.T) {
	b := newBed(t)
	for i, e := range b.settled(60) {
		if i%2 == 0 {
			b.lose(tier.Primary, e)
		}
	}
	var both sync.WaitGroup
	for range 2 {
		r := b.runner()
		both.Go(func() {
			got, err := r.Run(t.Context(), full())
			if err != nil {
				t.Error(err)
				return
			}
			_ = got.Plan.Close()
		})
	}
	both.Wait()
	seen := map[string]int{}
	for _, e := range b.redrives(tier.Primary) {
		seen[e.Data.IdempotencyKey]++
	}
	if len(seen) != 30 || len(b.redrives(tier.Primary)) != 30 {
		t.Errorf("%d recordings were sent, by %d events", len(seen), len(b.redrives(tier.Primary)))
	}
}

// given a store that fails at each call in turn, when a run is made, then it fails or is right, and never says that what it
// could not see is missing.
func TestAStoreThatFailsMakesARunFailAndNeverLie(t *testing.T) {
	away := fault.New(fault.Denied, fault.Store, "look", errors.New("the store refuses us"))
	for _, op := range []memstore.Op{memstore.List, memstore.Stat, memstore.Open, memstore.Tags} {
		for _, in := range tier.All() {
			t.Run(fmt.Sprintf("%s of %s", op, in), func(t *testing.T) {
				b := newBed(t)
				b.settled(6)
				b.stores[in].Before(op, func(_ context.Context, c memstore.Call) error {
					if c.N > 1 || op == memstore.List {
						return away
					}
					return nil
				})
				r, err := b.runner().Run(t.Context(), full())
				switch {
				case op == memstore.List && (err == nil || r.Plan != nil):
					t.Errorf("no error, found %+v", r)
				case op != memstore.List && (err != nil || r.Plan.Unjudged < 5 || r.Plan.Len() != 0 || r.Remaining < 5):
					t.Errorf("%d not judged, found %v, %d remain, %v", r.Plan.Unjudged, b.found(r), r.Remaining, err)
				}
				if n := len(b.redrives(tier.Primary)) + len(b.redrives(tier.Backup)); n != 0 || op != memstore.Tags && b.entries() < 5 {
					t.Errorf("%d were sent, %d entries left", n, b.entries())
				}
				if b.audited(event.AuditRun, "all") != 1 {
					t.Error("the log does not tell of the run")
				}
			})
		}
	}
}

// given a listing that is much shorter than the last run's, when it is not accepted, then the run stops and sends nothing.
func TestAListingThatIsSuspiciouslyShortStopsTheRun(t *testing.T) {
	b := newBed(t)
	all := b.settled(200)
	b.run(full())
	for _, e := range all[:150] {
		b.lose(tier.Backup, e)
	}
	_, err := b.runner().Run(t.Context(), full())
	if !errors.Is(err, plan.ErrShort) || !strings.Contains(err.Error(), "backup") || !strings.Contains(err.Error(), "--accept-shorter") {
		t.Fatalf("got %v", err)
	}
	o := full()
	o.AcceptShorter, o.DryRun = true, true
	if r := b.run(o); r.Plan.Sends != 150 || !r.Plan.Above() {
		t.Errorf("accepted, it would send %d", r.Plan.Sends)
	}
}

// given events in every state, when only what is new is looked at, then what is finished is judged, the cursor stops at the
// oldest that is not, and moves on once it is.
func TestTheCursorWaitsForWhatIsNotFinished(t *testing.T) {
	b := newBed(t)
	all := b.settled(10)
	b.lose(tier.Primary, all[3])
	open := b.accept("rec-open")
	b.store(b.accept("rec-stored"), tier.Primary, tier.Backup)
	r := b.run(Options{Scope: plan.New})
	if got := b.found(r); !slices.Equal(got, []string{"missing_primary primary recordings/rec-0003.wav copy"}) || r.Plan.Cursor != 11 {
		t.Fatalf("found %v, cursor %d", got, r.Plan.Cursor)
	}
	b.store(open, tier.Primary, tier.Backup)
	b.store(all[3], tier.Primary)
	b.finish()
	r = b.run(Options{Scope: plan.New})
	last, err := Last(t.Context(), b.js)
	if err != nil || len(b.found(r)) != 0 || r.Plan.Cursor != 14 || last.Cursor != 14 || r.Plan.Expected != 3 {
		t.Errorf("found %v of %d, cursor %d, remembered %+v, %v", b.found(r), r.Plan.Expected, r.Plan.Cursor, last, err)
	}
}

// given recordings that RECORDINGS has let go, when the sealed log names them, then they are known, and one that both tiers
// lost is found.
func TestWhatTheStreamForgotTheSealedLogStillOwes(t *testing.T) {
	b := newBed(t)
	at := time.Now().Add(-100 * 24 * time.Hour).UTC()
	for i := range 4 {
		e := event.New(event.Data{RecordingID: fmt.Sprintf("old-%d", i), Source: "default", Media: event.Media{Format: "wav"}}, "e1", at)
		if i < 3 {
			b.store(e, tier.Primary, tier.Backup)
		}
		if i > 0 {
			b.sealed = append(b.sealed, inventory.Entry{IdempotencyKey: e.Data.IdempotencyKey, ObjectKey: e.Data.ObjectKey, First: at, Newest: at})
		}
	}
	b.lose(tier.Backup, event.Event{Data: event.Data{ObjectKey: "recordings/old-2.wav", IdempotencyKey: "old-2"}})
	b.run(full()) // frees the entries
	got := b.found(b.run(Options{Scope: plan.Full, DryRun: true}))
	want := []string{
		"missing_both all recordings/old-3.wav quarantined", "unknown_object backup metadata/old-0.json quarantined",
		"unknown_object primary metadata/old-0.json quarantined", "unknown_object backup recordings/old-0.wav quarantined",
		"unknown_object primary recordings/old-0.wav quarantined", "missing_backup backup recordings/old-2.wav await",
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	sent := b.redrives(tier.Backup)
	if len(sent) != 1 || sent[0].Data.Media.URL != "" || sent[0].Data.Sidecar == "" || sent[0].Data.CopyFrom == nil {
		t.Errorf("sent %+v", sent)
	}
}

// given an object that is stored while the stores are being listed, when its event came after the ledger was read, then it
// is nobody's unknown object.
func TestWhatIsAcceptedDuringARunIsNotUnknown(t *testing.T) {
	b := newBed(t)
	b.settled(3)
	var once sync.Once
	b.stores[tier.Primary].Before(memstore.List, func(context.Context, memstore.Call) error {
		once.Do(func() { b.store(b.accept("rec-late"), tier.Primary, tier.Backup) })
		return nil
	})
	if got := b.found(b.run(full())); len(got) != 0 {
		t.Errorf("found %v", got)
	}
}

// given a recording that was forgotten, when both stores have lost it, then two runs and what they would send bring nothing
// back; where a copy is still there, that is said.
func TestWhatWasForgottenIsNeverBroughtBack(t *testing.T) {
	b := newBed(t)
	all := b.settled(3)
	kv, err := b.js.KeyValue(t.Context(), "twinreel-digests")
	b.must(err)
	for _, e := range all[:2] {
		_, err := kv.Put(t.Context(), event.HashKey(e.Data.IdempotencyKey), []byte(`{"forgotten":true}`))
		b.must(err)
	}
	b.lose(tier.Primary, all[0])
	b.lose(tier.Backup, all[0])
	b.lose(tier.Primary, all[1])
	for range 2 {
		r := b.run(full())
		want := []string{"erased backup recordings/rec-0001.wav report", "erased backup metadata/rec-0001.json report"}
		if got := b.found(r); !slices.Equal(got, want) && !slices.Equal(got, []string{want[1], want[0]}) || r.Remaining != 0 {
			t.Errorf("found %v, %d remain", got, r.Remaining)
		}
	}
	if n := len(b.redrives(tier.Primary)) + len(b.redrives(tier.Backup)); n != 0 || b.entries() != 2 {
		t.Errorf("%d were sent, %d entries left", n, b.entries())
	}
}

// given an event that stays unfinished, when runs are made while others come and are confirmed, then each looks at what is
// new and what is not confirmed, and not at all that came since again.
func TestAnEventThatStaysOpenDoesNotHaveAllLookedAtAgain(t *testing.T) {
	b := newBed(t)
	b.accept("rec-stuck")
	b.settledExcept("rec-stuck", 20)
	if r := b.run(Options{Scope: plan.New}); r.Plan.Expected != 21 || r.Confirmed != 20 || r.Plan.Cursor != 1 || r.Plan.Seen != 21 {
		t.Fatalf("the first: %d looked at, %d confirmed, cursor %d, seen %d", r.Plan.Expected, r.Confirmed, r.Plan.Cursor, r.Plan.Seen)
	}
	late := b.accept("rec-late")
	b.store(late, tier.Primary)
	b.finishExcept("rec-stuck")
	r := b.run(Options{Scope: plan.New})
	if got := b.found(r); !slices.Equal(got, []string{"missing_backup backup recordings/rec-late.wav copy"}) || r.Plan.Expected != 1 || r.Plan.Cursor != 1 {
		t.Errorf("the second: %d looked at, found %v, cursor %d", r.Plan.Expected, got, r.Plan.Cursor)
	}
	b.store(late, tier.Backup)
	b.finishExcept("rec-stuck")
	if r := b.run(Options{Scope: plan.New}); len(b.found(r)) != 0 || r.Confirmed != 1 || r.Plan.Expected > 2 {
		t.Errorf("the third: %d looked at, found %v, %d confirmed", r.Plan.Expected, b.found(r), r.Confirmed)
	}
}

// given a store that is away for every recording, when a run is made, then it gives up: it is not the recordings.
func TestManyThatCannotBeLookedAtEndTheRun(t *testing.T) {
	b := newBed(t)
	b.settled(40)
	b.stores[tier.Backup].Before(memstore.Stat, memstore.Always(fault.New(fault.Denied, fault.Store, "look", errors.New("refused"))))
	if r, err := b.runner().Run(t.Context(), full()); err == nil || r.Plan != nil {
		t.Errorf("no error, %+v", r)
	}
}

// given one recording whose agreement nobody can read, when a run is made, then the others are mended all the same.
func TestOneThatCannotBeJudgedDoesNotHideTheOthers(t *testing.T) {
	b := newBed(t)
	all := b.settled(5)
	kv, err := b.js.KeyValue(t.Context(), "twinreel-digests")
	b.must(err)
	_, err = kv.Put(t.Context(), event.HashKey("rec-0001"), []byte("no entry"))
	b.must(err)
	b.lose(tier.Primary, all[3])
	r := b.run(full())
	if r.Plan.Unjudged != 1 || !strings.Contains(r.Plan.Why, "rec-0001") || r.Repair.Sent != 1 || r.Remaining != 2 || r.Confirmed != 3 {
		t.Errorf("%d not judged (%s), %d sent, %d remain, %d confirmed", r.Plan.Unjudged, r.Plan.Why, r.Repair.Sent, r.Remaining, r.Confirmed)
	}
}

// given a later event of the recording that contradicts what is stored, when a tier has lost its copy, then what is sent
// contradicts nothing: it is made of the sidecar.
func TestWhatIsSentNeverContradictsWhatIsAgreed(t *testing.T) {
	b := newBed(t)
	all := b.settled(2)
	other := event.New(event.Data{RecordingID: "rec-0000", Source: "default", Media: event.Media{URL: "https://cdn.example.com/a", Format: "mp3"}}, "e2", time.Now())
	_, err := b.publisher.Completed(t.Context(), queue.Both, other, "")
	b.must(err)
	b.finish()
	b.run(full()) // frees the entries
	b.lose(tier.Primary, all[0])
	b.run(full())
	sent := b.redrives(tier.Primary)
	if len(sent) != 1 || sent[0].Data.Media.Format != "wav" || sent[0].Data.CopyFrom == nil || sent[0].Data.ObjectKey != all[0].Data.ObjectKey {
		t.Errorf("sent %+v", sent)
	}
}

// given the sealed log's word alone that a recording was forgotten, when both stores have lost it, then it is neither
// brought back nor given up: a person has to look.
func TestAClaimThatSomethingWasForgottenIsNoProof(t *testing.T) {
	b := newBed(t)
	all := b.settled(2)
	b.run(full())
	b.sealed = []inventory.Entry{{IdempotencyKey: "rec-0001", First: time.Now(), Newest: time.Now(), Forgotten: true}}
	b.lose(tier.Primary, all[1])
	b.lose(tier.Backup, all[1])
	r := b.run(full())
	if got := b.found(r); !slices.Equal(got, []string{"missing_both all recordings/rec-0001.wav quarantine"}) || r.Repair.Sent != 0 || r.Repair.Noted != 1 {
		t.Errorf("found %v, sent %d", got, r.Repair.Sent)
	}
}

// given events that a worker has in hand for hours, because their source is away, when runs are made, then nothing is sent
// beside them.
func TestWhatIsInHandIsNotSentASecondTime(t *testing.T) {
	b := newBed(t)
	for i := range 3 {
		b.accept(fmt.Sprintf("rec-%d", i))
	}
	r := b.runner()
	r.Planner.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	b.handOut()
	got, err := r.Run(t.Context(), full())
	b.must(err)
	defer func() { _ = got.Plan.Close() }()
	if n := got.Plan.Len(); n != 3 || got.Repair.Sent != 0 || got.Remaining != 3 {
		t.Errorf("found %v, sent %d", b.found(got), got.Repair.Sent)
	}
}

// given a run of what is new that was refused for the cap, when its plan is approved, then that is carried out.
func TestARefusedRunOfWhatIsNewCanBeApproved(t *testing.T) {
	b := newBed(t)
	for _, e := range b.settled(130) {
		b.lose(tier.Backup, e)
	}
	r := b.run(Options{Scope: plan.New})
	if !r.Repair.Refused {
		t.Fatalf("sent %d", r.Repair.Sent)
	}
	if r := b.run(Options{Scope: plan.New, Approve: r.Plan.ID.String()}); r.Repair.Sent != 130 {
		t.Errorf("approved, it sent %d", r.Repair.Sent)
	}
}

func TestAFullRunThatHasNoRoomForItsTemporaryFilesAsksTheStoresForNothing(t *testing.T) {
	b := newBed(t)
	b.settled(1)
	for _, s := range b.stores {
		s.Before(memstore.List, func(context.Context, memstore.Call) error { t.Error("a store was listed"); return nil })
	}
	_, err := b.runner().Planner.Whole(t.Context(), plan.Options{Last: plan.Last{Primary: 1 << 50}})
	if err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("got %v", err)
	}
}
