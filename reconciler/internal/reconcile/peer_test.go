package reconcile

import (
	"slices"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
	"github.com/twinreel/twinreel/reconciler/internal/plan"
)

// regions are two beds over the same stores; the first follows the second.
func regions(t *testing.T) (here, there *bed) {
	t.Helper()
	pnc, pjs := testenv.Peer(t, "test10")
	nc, js := testenv.Account(t, "test10")
	there = bedOn(t, pnc, pjs, queue.Peer{})
	here = bedOn(t, nc, js, queue.Peer{Domain: testenv.PeerDomain})
	here.stores = there.stores
	return here, there
}

// comesOver waits until the mirror has all that the other region accepted.
func (b *bed) comesOver(there *bed) {
	b.t.Helper()
	peer, err := plan.NewPeer(b.t.Context(), b.js, b.peer)
	b.must(err)
	b.must(peer.CaughtUp(b.t.Context()))
}

// follows has the followers' consumers hand out all of the other region's events, and acknowledges them where done says so.
func (b *bed) follows(there *bed, done bool) {
	b.t.Helper()
	b.comesOver(there)
	for _, t := range tier.All() {
		c, err := b.js.Consumer(b.t.Context(), queue.PeerRecordings, queue.ConsumerName(t, queue.PeerLane))
		b.must(err)
		batch, err := c.FetchNoWait(1000)
		b.must(err)
		for m := range batch.Messages() {
			if done {
				b.must(m.DoubleAck(b.t.Context()))
			}
		}
	}
}

// given recordings that the other region accepted and stored, when a run is made here, then it knows them; and an object of
// which neither knows anything is still told.
func TestWhatTheOtherRegionAcceptedIsKnownHere(t *testing.T) {
	here, there := regions(t)
	there.settled(3)
	here.follows(there, true)
	if r := here.run(full()); len(here.found(r)) != 0 || r.Plan.Expected != 3 {
		t.Fatalf("found %v of %d", here.found(r), r.Plan.Expected)
	}
	here.store(event.New(event.Data{RecordingID: "rec-stray", Source: "default", Media: event.Media{Format: "wav"}}, "e", time.Now()), tier.Primary)
	kv, err := here.js.KeyValue(t.Context(), queue.Digests)
	here.must(err)
	here.must(kv.Purge(t.Context(), event.HashKey("rec-stray")))
	want := []string{"unknown_object primary metadata/rec-stray.json quarantine", "unknown_object primary recordings/rec-stray.wav quarantine"}
	got := here.found(here.run(full()))
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("found %v", got)
	}
}

// given another region that cannot be heard, when its stores hold what is unknown here, then nothing is said of it.
func TestWhileTheOtherRegionIsNotHeardNothingIsUnknown(t *testing.T) {
	here, there := regions(t)
	there.settled(2)
	here.follows(there, true)
	there.store(event.New(event.Data{RecordingID: "rec-late", Source: "default", Media: event.Media{Format: "wav"}}, "e", time.Now()), tier.Primary, tier.Backup)
	r := here.runner()
	nowhere, err := queue.Peer{Domain: "nowhere"}.JetStream(here.js)
	here.must(err)
	r.Planner.Peer.Home, r.Planner.Peer.Wait = nowhere, 2*time.Second
	got, err := r.Run(t.Context(), full())
	here.must(err)
	defer func() { _ = got.Plan.Close() }()
	if len(here.found(got)) != 0 || got.Plan.Unheard != 1 || got.Plan.Expected != 2 {
		t.Errorf("found %v of %d, unheard %d", here.found(got), got.Plan.Expected, got.Plan.Unheard)
	}
}

// given a recording of which the other region stored one copy before it was lost, when its follower here waits, then the run
// after an hour sends it that copy, with its sidecar; before, it leaves that to the follower.
func TestAFollowerThatWaitsIsSentTheCopy(t *testing.T) {
	here, there := regions(t)
	e := there.accept("rec-half")
	there.store(e, tier.Primary)
	here.follows(there, false)
	if r := here.run(Options{Scope: plan.New}); len(here.found(r)) != 0 {
		t.Errorf("at once: %v", here.found(r))
	}
	here.ahead = 2 * time.Hour
	r := here.run(Options{Scope: plan.New})
	if got := here.found(r); !slices.Equal(got, []string{"missing_backup backup recordings/rec-half.wav copy"}) || r.Repair.Sent != 1 {
		t.Fatalf("found %v, sent %d", got, r.Repair.Sent)
	}
	sent := here.redrives(tier.Backup)
	if len(sent) != 1 || sent[0].Data.CopyFrom == nil || sent[0].Data.Media.URL != e.Data.Media.URL || len(there.redrives(tier.Backup)) != 0 {
		t.Errorf("sent %+v", sent)
	}
	if r := here.run(Options{Scope: plan.New}); r.Repair.Sent != 0 {
		t.Errorf("while that is under way it sent %d", r.Repair.Sent)
	}
}

// given a recording that neither store has, when its follower here is at it, then it is waited for; when that has given up or
// lost it again, then it is sent by the event of the other region.
func TestWhatNeitherHasIsFetchedByTheOtherRegionsEvent(t *testing.T) {
	here, there := regions(t)
	e := there.accept("rec-none")
	here.follows(there, false)
	here.ahead = 2 * time.Hour
	if got := here.found(here.run(full())); !slices.Equal(got, []string{"missing_both all recordings/rec-none.wav await"}) {
		t.Fatalf("found %v", got)
	}
	for _, x := range tier.All() { // the followers' messages come again, and are done
		c, err := here.js.Consumer(t.Context(), queue.PeerRecordings, queue.ConsumerName(x, queue.PeerLane))
		here.must(err)
		here.must(here.js.DeleteConsumer(t.Context(), queue.PeerRecordings, c.CachedInfo().Name))
	}
	sizes := queue.Sizes{Recordings: 64 << 20, Letters: 16 << 20, Audit: 64 << 20, MaxAge: 30 * 24 * time.Hour}
	_, err := queue.Topology{Sizes: sizes, Replicas: 1, Peer: here.peer}.Provision(t.Context(), here.js)
	here.must(err)
	here.follows(there, true)
	if r := here.run(full()); !slices.Equal(here.found(r), []string{"missing_both all recordings/rec-none.wav fetch"}) || r.Repair.Sent != 2 {
		t.Fatalf("found %v, sent %d", here.found(r), r.Repair.Sent)
	}
	for _, x := range tier.All() {
		if sent := here.redrives(x); len(sent) != 1 || sent[0].Data.Media.URL != e.Data.Media.URL {
			t.Errorf("%s was sent %+v", x, sent)
		}
	}
}

// given a recording that was forgotten in the other region and is gone from both stores, then no run here brings it back.
func TestWhatTheOtherRegionForgotIsNotBroughtBack(t *testing.T) {
	here, there := regions(t)
	all := there.settled(1)
	here.follows(there, true)
	kv, err := there.js.KeyValue(t.Context(), queue.Tombstones)
	here.must(err)
	_, err = kv.Put(t.Context(), event.HashKey(all[0].Data.IdempotencyKey), []byte(`{"by":"ada"}`))
	here.must(err)
	here.lose(tier.Primary, all[0])
	here.lose(tier.Backup, all[0])
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(10 * time.Millisecond) { // until the tombstone has come over
		stones, err := erasure.Open(t.Context(), here.js)
		here.must(err)
		known, err := stones.Known(t.Context(), all[0].Data.IdempotencyKey)
		here.must(err)
		if known {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the tombstone does not come over")
		}
	}
	here.ahead = 2 * time.Hour
	if r := here.run(full()); len(here.found(r)) != 0 || r.Repair.Sent != 0 {
		t.Errorf("found %v, sent %d", here.found(r), r.Repair.Sent)
	}
}
