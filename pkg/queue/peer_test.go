package queue_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap/zaptest"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

// withPeer provisions a region and its peer. What is published is published there.
func withPeer(t *testing.T) (*nats.Conn, jetstream.JetStream, jetstream.JetStream, *queue.Publisher, queue.Topology) {
	t.Helper()
	pnc, pjs := testenv.Peer(t, "test08")
	nc, js := testenv.Account(t, "test08")
	if _, err := queue.Provision(t.Context(), pjs, small(), 1); err != nil {
		t.Fatal(err)
	}
	topology := queue.Topology{Sizes: small(), Replicas: 1, Peer: queue.Peer{Domain: testenv.PeerDomain}}
	if _, err := topology.Provision(t.Context(), js); err != nil {
		t.Fatal(err)
	}
	return nc, js, pjs, queue.NewPublisher(pnc, pjs), topology
}

// given a peer, when its region is provisioned, twice, then mirrors and their consumers are there as Inspect wants them; a mirror
// of another region is told.
func TestAPeerIsMirrored(t *testing.T) {
	_, js, _, _, topology := withPeer(t)
	again, err := topology.Provision(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range again {
		if c.Action != "unchanged" {
			t.Errorf("provisioned again: %+v", c)
		}
	}
	c, err := js.Consumer(t.Context(), queue.PeerRecordings, "backup-peer")
	if err != nil {
		t.Fatal(err)
	}
	from := c.CachedInfo().Config.OptStartTime
	if from == nil || time.Since(*from) < 24*time.Hour || time.Since(*from) > 25*time.Hour {
		t.Errorf("it follows from %v on, want from a day ago", from)
	}
	list, err := topology.Inspect(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range list {
		seen[s.Kind+" "+s.Name] = true
		if s.Missing || len(s.Differs) > 0 {
			t.Errorf("%+v", s)
		}
	}
	for _, want := range []string{"stream RECORDINGS_PEER", "stream AUDIT_PEER", "bucket twinreel-digests-peer", "bucket twinreel-tombstones-peer", "consumer primary-peer", "consumer backup-peer"} {
		if !seen[want] {
			t.Errorf("%s is not looked at", want)
		}
	}
	topology.Peer.Domain = "elsewhere"
	list, err = topology.Inspect(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	differ := 0
	for _, s := range list {
		differ += len(s.Differs)
	}
	if differ != 4 {
		t.Errorf("%d mirrors are told to be of another region, want 4", differ)
	}
	if err := queue.Provisioned(js, 1, topology.Peer.Streams()...)(t.Context()); err != nil {
		t.Error(err)
	}
}

// given events at the peer, routed every way, when a tier follows it, then it gets each that it would have had to take there,
// with the sequence and time of home, and none of what came back through its own streams.
func TestATierFollowsThePeersEvents(t *testing.T) {
	_, js, pjs, p, _ := withPeer(t)
	for i, r := range []queue.Route{queue.Both, queue.Primary, queue.Backup} {
		if _, err := p.Completed(t.Context(), r, recording("rec-"+string(rune('a'+i)), "e"), ""); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	got := map[string]queue.Delivery{}
	run(t, &queue.Consumer{JS: js, Tier: tier.Backup, Peers: true, Slots: 2, Log: zaptest.NewLogger(t), Open: func() queue.Allowance { return queue.Allowance{Slots: 2} }},
		func(_ context.Context, d queue.Delivery) error {
			mu.Lock()
			defer mu.Unlock()
			got[d.Subject] = d
			return nil
		})
	until(t, "all three are followed", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == 3 })
	home, err := pjs.Stream(t.Context(), queue.Recordings)
	if err != nil {
		t.Fatal(err)
	}
	for subject, d := range got {
		m, err := home.GetMsg(t.Context(), d.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		if d.Stream != queue.PeerRecordings || d.Lane != queue.PeerLane || m.Subject != subject || !m.Time.Equal(d.Stored) {
			t.Errorf("%s: %+v, at home %+v", subject, d, m)
		}
	}
	c, err := js.Consumer(t.Context(), queue.PeerRecordings, "backup-peer")
	if err != nil {
		t.Fatal(err)
	}
	until(t, "all acknowledged", func() bool {
		i, err := c.Info(t.Context())
		return err == nil && i.NumPending == 0 && i.NumAckPending == 0
	})
}

// given the peer's log, when it is asked for copies of a tier, then it tells of what was written since, also later, and not of
// the other tier's, nor of what is no copy.
func TestThePeersLogTellsWhoseCopyItHolds(t *testing.T) {
	nc, _, _, p, _ := withPeer(t)
	began := time.Now().Add(-time.Second)
	audit := func(kind event.AuditKind, tier, key string, n uint64) {
		t.Helper()
		if err := p.Audit(t.Context(), event.Audit{
			Kind: kind, Tier: tier, Time: time.Now(), MsgID: event.DeliveryID(kind, tier, queue.Recordings, n), Data: event.AuditData{Tier: tier, IdempotencyKey: key},
		}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint64(1200) { // more than come at once
		audit(event.AuditStored, "backup", "many-"+string(rune('0'+i%10)), i)
	}
	audit(event.AuditStored, "primary", "rec-p", 1)
	audit(event.AuditStored, "backup", "rec-b", 2000)
	audit(event.AuditDead, "backup", "rec-dead", 2001)
	l := queue.NewPeerLog(nc, tier.Backup)
	held := func(key string, since time.Time) bool {
		t.Helper()
		ok, err := l.Held(t.Context(), key, since)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	until(t, "the log has come over", func() bool { return held("rec-b", began) })
	if held("rec-p", began) || held("rec-dead", began) || held("rec-none", began) {
		t.Error("it tells of what is no copy of the tier")
	}
	audit(event.AuditAlreadyPresent, "backup", "rec-late", 2002)
	until(t, "what came later is told", func() bool { return held("rec-late", began) })
	if held("rec-b", time.Now().Add(2*time.Hour)) {
		t.Error("what was written before is told")
	}
	if !held("rec-b", began) {
		t.Error("asked for older ones again, it has forgotten them")
	}
}

func TestAPeersDomainIsChecked(t *testing.T) {
	for _, name := range []string{"", "east", "eu-west_1"} {
		if p := (&queue.Peer{Domain: name}).Check(); len(p) != 0 {
			t.Errorf("%q: %v", name, p)
		}
	}
	for _, name := range []string{"a.b", "*", "ea st", ">"} {
		if p := (&queue.Peer{Domain: name}).Check(); len(p) != 1 || p[0].Variable != "TWINREEL_PEER_DOMAIN" {
			t.Errorf("%q: %v", name, p)
		}
	}
}
