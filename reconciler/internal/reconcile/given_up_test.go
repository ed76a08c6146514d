package reconcile

import (
	"slices"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/capacity"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
	"github.com/twinreel/twinreel/reconciler/internal/plan"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
)

// given a recording that both tiers gave up, when somebody discards its letters, then no run fetches it again, until the
// platform sends it once more.
func TestWhatWasDiscardedIsNotFetchedAgain(t *testing.T) {
	b := newBed(t)
	b.settled(2)
	e := b.accept("rec-lost")
	b.finish()
	book, err := quarantine.Open(t.Context(), b.js)
	b.must(err)
	for _, x := range tier.All() {
		b.must(book.Discard(t.Context(), quarantine.About{IdempotencyKey: e.Data.IdempotencyKey, ObjectKey: e.Data.ObjectKey}, x, "ada", "a test call"))
	}
	missing := "missing_both all " + e.Data.ObjectKey
	for range 2 {
		r := b.run(full())
		if !slices.Equal(b.found(r), []string{missing + " quarantined"}) || r.Repair.Sent != 0 || r.Remaining != 0 {
			t.Fatalf("found %v, sent %d, %d remain", b.found(r), r.Repair.Sent, r.Remaining)
		}
	}
	if r, err := book.Get(t.Context(), e.Data.IdempotencyKey); err != nil || r.Open() {
		t.Errorf("somebody has to look: %+v, %v", r, err)
	}
	e.ID = "e2"
	_, err = b.publisher.Completed(t.Context(), queue.Both, e, "")
	b.must(err)
	b.finish()
	if r := b.run(full()); !slices.Equal(b.found(r), []string{missing + " fetch"}) || r.Repair.Sent != 2 {
		t.Errorf("sent once more: found %v, sent %d", b.found(r), r.Repair.Sent)
	}
}

// given recordings that are past retention or erased, and gone, when a full run is made, then it asks no store for them.
func TestWhatHasRunItsCourseIsNotLookedForAgain(t *testing.T) {
	b := newBed(t)
	all := b.settled(4)
	b.run(full())
	stones, err := erasure.Open(t.Context(), b.js)
	b.must(err)
	var want []string
	for _, e := range all[:2] {
		b.lose(tier.Primary, e)
		b.lose(tier.Backup, e)
		_, err := stones.Refill(t.Context(), func(yield func(erasure.Forgotten, error) bool) {
			yield(erasure.Forgotten{IdempotencyKey: e.Data.IdempotencyKey, Tombstone: erasure.Tombstone{By: "ada", At: time.Now(), Case: "7", Reason: "asked for"}}, nil)
		})
		b.must(err)
		key := "old-" + e.Data.IdempotencyKey
		old := claims(key, event.ObjectKey(key, "wav"), digest.Of([]byte("long ago")))
		old.First = time.Now().AddDate(-8, 0, 0)
		old.Newest = old.First
		b.sealed = append(b.sealed, old)
		want = append(want, "expired primary "+old.ObjectKey+" report")
	}
	before := map[tier.Tier]int{}
	asked := func(x tier.Tier) int {
		s := b.stores[x]
		return s.Calls(memstore.Stat) + s.Calls(memstore.Open) + s.Calls(memstore.Tags)
	}
	for _, x := range tier.All() {
		before[x] = asked(x)
	}
	r := b.run(Options{Scope: plan.Full, DryRun: true})
	if !slices.Equal(b.found(r), want) {
		t.Fatalf("found %v", b.found(r))
	}
	for _, c := range []struct {
		t    tier.Tier
		want int64
	}{{tier.Primary, capacity.FullRun(2).S3Reads}, {tier.Backup, capacity.FullRun(2).AzureReads}} {
		if got := int64(asked(c.t) - before[c.t]); got != c.want {
			t.Errorf("%s was asked %d times, want %d", c.t, got, c.want)
		}
	}
}
