package backlog

import (
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

// account is this package's JetStream world, and its peer's.
const account = "test11"

// given mirrors of a region that is there, and of one that is not, then the first are in step and the others lag since they were
// first looked at; and what was not looked at is counted.
func TestHowFarTheMirrorsAre(t *testing.T) {
	pnc, pjs := testenv.Peer(t, account)
	_, js := testenv.Account(t, account)
	sizes := queue.Sizes{Recordings: 16 << 20, Letters: 4 << 20, Audit: 4 << 20, MaxAge: time.Hour}
	if _, err := queue.Provision(t.Context(), pjs, sizes, 1); err != nil {
		t.Fatal(err)
	}
	of := queue.Peer{Domain: testenv.PeerDomain}
	if _, err := (queue.Topology{Sizes: sizes, Replicas: 1, Peer: of}).Provision(t.Context(), js); err != nil {
		t.Fatal(err)
	}
	e := event.New(event.Data{RecordingID: "rec-1", Source: "default", Media: event.Media{URL: "https://cdn.example.com/a", Format: "wav"}}, "e", time.Now())
	if _, err := queue.NewPublisher(pnc, pjs).Completed(t.Context(), queue.Both, e, ""); err != nil {
		t.Fatal(err)
	}
	p := NewPeer(js, of)
	inStep := func() bool {
		all, err := p.Mirrors(t.Context(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			if m.LagSeconds > 0 || m.Behind > 0 {
				return false
			}
		}
		return len(all) == 4
	}
	for deadline := time.Now().Add(60 * time.Second); !inStep(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the mirrors are not in step")
		}
	}
	tiers := []Tier{{Tier: tier.Primary}, {Tier: tier.Backup}}
	if err := p.Waiting(t.Context(), tiers); err != nil || tiers[0].Peer != 1 || tiers[1].Peer != 1 {
		t.Errorf("waiting: %+v, %v", tiers, err)
	}

	_, js = testenv.Account(t, account)
	of.Domain = "nowhere"
	if _, err := (queue.Topology{Sizes: sizes, Replicas: 1, Peer: of}).Provision(t.Context(), js); err != nil {
		t.Fatal(err)
	}
	p = NewPeer(js, of)
	all, err := p.Mirrors(t.Context(), time.Now().Add(10*time.Minute))
	if err != nil || len(all) != 4 {
		t.Fatalf("got %+v, %v", all, err)
	}
	for _, m := range all {
		if m.LagSeconds < 599 {
			t.Errorf("%s of a region that is not there lags %v s", m.Stream, m.LagSeconds)
		}
	}
}
