package worker

import (
	"errors"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
)

const peerAfter = 15 * time.Minute

// newFollower returns a follower, and who publishes in the region that it follows.
func newFollower(t *testing.T) (*bed, *follower, *queue.Publisher) {
	t.Helper()
	pnc, pjs := testenv.Peer(t, "test09")
	b := newBed(t, "test09", func(c *Config) {
		c.NATS.Peer, c.Follow.After = queue.Peer{Domain: testenv.PeerDomain}, peerAfter
	})
	topology := queue.Topology{Sizes: queue.Sizes{Recordings: 16 << 20, Letters: 4 << 20, Audit: 4 << 20, MaxAge: time.Hour}, Replicas: 1, Peer: queue.Peer{Domain: testenv.PeerDomain}}
	if _, err := queue.Provision(t.Context(), pjs, topology.Sizes, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := topology.Provision(t.Context(), b.js); err != nil {
		t.Fatal(err)
	}
	peer, err := openPeer(t.Context(), b.js)
	if err != nil {
		t.Fatal(err)
	}
	return b, b.follow(b.nc, b.copier.Agreement, peer, peerAfter), queue.NewPublisher(pnc, pjs)
}

// given an event that the peer accepted a moment ago, when it is followed, then it is handed back until it is old enough, and no
// more is pulled meanwhile; then it is done.
func TestYoungEventsAreLeftToTheirHome(t *testing.T) {
	b, f, _ := newFollower(t)
	d := b.delivery(1, 1)
	d.Stream, d.Lane = queue.PeerRecordings, queue.PeerLane
	b.clock.move(5 * time.Minute)
	var later *queue.Later
	if err := f.Handle(t.Context(), d); !errors.As(err, &later) || later.After != 10*time.Minute {
		t.Fatalf("got %v", err)
	}
	if a := f.open(); a.Slots != 0 || b.source.opened() != 0 {
		t.Errorf("%d slots are open, fetched %d times", a.Slots, b.source.opened())
	}
	b.clock.move(followLook)
	if a := f.open(); a.Slots == 0 {
		t.Error("nothing else is ever looked at")
	}
	b.clock.move(10 * time.Minute)
	if err := f.Handle(t.Context(), d); err != nil || b.outcome("stored") != 1 {
		t.Errorf("old enough: %v, stored %v", err, b.outcome("stored"))
	}
}

// given events of its own in hand, then the peer's have the slots that are left over, and a tenth at least; of a degraded store none.
func TestThePeersEventsComeSecond(t *testing.T) {
	b, f, _ := newFollower(t)
	b.keeper.slots = 20
	for own, want := range map[int32]int{0: 20, 5: 15, 20: 2} {
		b.keeper.inHand.Store(own)
		if a := f.open(); a.Slots != want || a.Backfill != 0 {
			t.Errorf("with %d in hand: %+v, want %d", own, a, want)
		}
	}
	b.keeper.inHand.Store(0)
	for range 3 {
		b.keeper.health.Failed(b.clock.Now(), "away")
	}
	if a := f.open(); a.Slots != 0 {
		t.Errorf("degraded: %+v", a)
	}
}

// given a recording whose sibling copy the peer's log tells of, when its entry is not known, then it waits, uncounted.
func TestAPeersRecordingThatAwaitsItsCopyIsNotCounted(t *testing.T) {
	b, f, p := newFollower(t)
	d := b.delivery(1, 1)
	d.Stream, d.Lane = queue.PeerRecordings, queue.PeerLane
	if err := p.Audit(t.Context(), event.Audit{
		Kind: event.AuditStored, Tier: "backup", Time: time.Now(), MsgID: "stored/backup/RECORDINGS/1", Data: event.AuditData{Tier: "backup", IdempotencyKey: "rec-1"},
	}); err != nil {
		t.Fatal(err)
	}
	log := queue.NewPeerLog(b.nc, f.copier.Tier.Sibling())
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(10 * time.Millisecond) {
		if held, err := log.Held(t.Context(), "rec-1", d.Stored.Add(-time.Minute)); err == nil && held {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the log does not come over")
		}
	}
	d.Stored = d.Stored.Add(-time.Minute) // the server's clock, which is not moved, has it later
	b.clock.move(20 * time.Minute)
	var later *queue.Later
	if err := f.Handle(t.Context(), d); !errors.As(err, &later) || later.After != awaitCopy {
		t.Fatalf("got %v", err)
	}
	if a := b.attempts("rec-1", 1); a.Failed != 0 || b.outcome(outcomeAwaits) != 1 || b.source.opened() != 0 {
		t.Errorf("counted %+v, fetched %d times", a, b.source.opened())
	}
}

// given an own event that waited for long, when the peer has stored it meanwhile, then it is looked for before it is fetched.
func TestAnOldEventOfOursIsLookedForFirst(t *testing.T) {
	b, _, _ := newFollower(t)
	d := b.delivery(1, 1)
	if b.job(d, event.Event{}).Again {
		t.Error("a young event is looked for")
	}
	b.clock.move(peerAfter)
	if !b.job(d, event.Event{}).Again {
		t.Error("an old event is not looked for")
	}
	b.config.NATS.Peer = queue.Peer{}
	if b.job(d, event.Event{}).Again {
		t.Error("without a peer it is")
	}
}

// given mirrors that are not there, then a worker with a peer is not ready to begin.
func TestWithoutMirrorsThereIsNoFollowing(t *testing.T) {
	b := newBed(t, "test16")
	if _, err := openPeer(t.Context(), b.js); err == nil {
		t.Error("opened")
	}
	var _ digest.Known = b.copier.Agreement
}
