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

// given a region that came back with empty disks, which its old mirror does not follow, then the mirror is not told to be in step.
func TestAMirrorOfWhatBeganAnewIsNotInStep(t *testing.T) {
	pnc, pjs := testenv.Peer(t, account)
	_, js := testenv.Account(t, account)
	sizes := queue.Sizes{Recordings: 16 << 20, Letters: 4 << 20, Audit: 4 << 20, MaxAge: time.Hour}
	provision := func() {
		if _, err := queue.Provision(t.Context(), pjs, sizes, 1); err != nil {
			t.Fatal(err)
		}
	}
	publish := func(ids ...string) {
		for _, id := range ids {
			e := event.New(event.Data{RecordingID: id, Source: "default", Media: event.Media{URL: "https://cdn.example.com/a", Format: "wav"}}, id, time.Now())
			if _, err := queue.NewPublisher(pnc, pjs).Completed(t.Context(), queue.Both, e, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	provision()
	of := queue.Peer{Domain: testenv.PeerDomain}
	if _, err := (queue.Topology{Sizes: sizes, Replicas: 1, Peer: of}).Provision(t.Context(), js); err != nil {
		t.Fatal(err)
	}
	publish("rec-1", "rec-2", "rec-3", "rec-4")
	p := NewPeer(js, of)
	look := func() Mirror {
		all, err := p.Mirrors(t.Context(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return all[0]
	}
	for deadline := time.Now().Add(60 * time.Second); ; <-time.After(20 * time.Millisecond) {
		s, err := js.Stream(t.Context(), queue.PeerRecordings)
		if err != nil {
			t.Fatal(err)
		}
		if s.CachedInfo().State.LastSeq == 4 && look().LagSeconds == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the mirror is not in step")
		}
	}
	if err := pjs.DeleteStream(t.Context(), queue.Recordings); err != nil {
		t.Fatal(err)
	}
	provision()
	publish("rec-5")
	began := time.Now()
	for deadline := began.Add(60 * time.Second); ; <-time.After(20 * time.Millisecond) { // until its server has heard of the new one
		s, err := js.Stream(t.Context(), queue.PeerRecordings)
		if err != nil {
			t.Fatal(err)
		}
		i := s.CachedInfo()
		if i.State.LastSeq != 4 {
			t.Fatal("it follows what began anew")
		}
		if m := i.Mirror; m.Lag == 0 && m.Active >= 0 && m.Active < time.Since(began)-time.Second {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("its server has not heard of the new one: %+v", i.Mirror)
		}
	}
	if m := look(); m.LagSeconds == 0 {
		t.Errorf("a mirror of what is no longer there is in step: %+v", m)
	}
}
