package tier_test

import (
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/tier"
)

const interval = 10 * time.Second

// patient is a Health and its clock.
type patient struct {
	*tier.Health
	now time.Time
}

func newPatient() *patient {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	return &patient{tier.NewHealth(tier.Rules{DegradedAfter: 3, ProbeInterval: interval}, now), now}
}

func (p *patient) view() tier.View { return p.View(p.now) }

// fails has the store fail so often.
func (p *patient) fails(times int) {
	for range times {
		p.now = p.now.Add(time.Second)
		p.Failed(p.now, "unavailable, status 503")
	}
}

// stores has so many recordings stored.
func (p *patient) stores(times int) {
	for range times {
		p.now = p.now.Add(time.Second)
		p.Wrote()
		p.Stored(p.now)
	}
}

// probes has so many probe writes pass, one each interval, after that time.
func (p *patient) probes(times int, took time.Duration) {
	for range times {
		p.now = p.now.Add(interval)
		p.Wrote()
		p.Passed(p.now, took, true)
	}
}

func (p *patient) is(t *testing.T, state tier.State, weight float64) {
	t.Helper()
	if v := p.view(); v.State != state || v.Weight != weight {
		t.Fatalf("view %+v, want %s of weight %v", v, state, weight)
	}
}

func TestThreeFailuresInARowDegradeAndThreeStoresInARowClear(t *testing.T) {
	p := newPatient()
	p.is(t, tier.Healthy, 1)
	p.fails(2)
	p.stores(1) // ends the row
	p.fails(2)
	p.is(t, tier.Healthy, 1)
	p.fails(1)
	p.is(t, tier.Degraded, 0)
	if v := p.view(); v.ConsecutiveFailures != 3 || v.Reason == "" || !v.Since.Equal(p.now) {
		t.Errorf("view %+v", v)
	}
	p.stores(2)
	p.fails(1) // starts anew
	p.stores(2)
	p.is(t, tier.Degraded, 0)
	p.stores(1)
	if v := p.view(); v.State != tier.Healthy || v.ConsecutiveFailures != 0 {
		t.Errorf("view %+v", v)
	}
}

func TestALookDoesNotEndARowOfFailedWrites(t *testing.T) {
	p := newPatient() // a look that goes well is not told at all: only writes are
	p.fails(3)
	p.is(t, tier.Degraded, 0)
}

func TestARecordingThatIsNotedLateDoesNotEndARowOfFailures(t *testing.T) {
	p := newPatient()
	p.Wrote() // its last write
	p.fails(2)
	p.Stored(p.now) // the rest of what had to be done for it
	p.fails(1)
	if v := p.view(); v.State != tier.Degraded {
		t.Errorf("%+v after three failures in a row", v)
	}
}

func TestProbeWritesClearWhereNothingIsInHand(t *testing.T) {
	p := newPatient()
	p.fails(3)
	for range 5 {
		p.now = p.now.Add(interval)
		p.Passed(p.now, time.Millisecond, false) // somebody is at a recording: that one counts
	}
	p.is(t, tier.Degraded, 0)
	p.probes(3, time.Millisecond)
	p.is(t, tier.Healthy, 0.5)
}

func TestADeniedProbeParksAndOneThatPassesResumes(t *testing.T) {
	p := newPatient()
	p.Denied(p.now, "403 InvalidAccessKeyId")
	p.is(t, tier.Parked, 0)
	since := p.view().Since
	p.now = p.now.Add(interval)
	p.Denied(p.now, "403 SignatureDoesNotMatch")
	p.fails(5) // says nothing of who we are
	if v := p.view(); v.State != tier.Parked || v.Reason != "403 SignatureDoesNotMatch" || !v.Since.Equal(since) {
		t.Errorf("view %+v", v)
	}
	p.now = p.now.Add(interval)
	p.Passed(p.now, time.Millisecond, false)
	p.is(t, tier.Healthy, 0.5)
}

func TestARecoveredStoreHasHalfItsWeightForAWhile(t *testing.T) {
	p := newPatient()
	p.fails(3)
	p.stores(3)
	p.is(t, tier.Healthy, 0.5)
	p.now = p.now.Add(3*interval - time.Nanosecond)
	p.is(t, tier.Healthy, 0.5)
	p.now = p.now.Add(time.Nanosecond)
	p.is(t, tier.Healthy, 1)
}

func TestFlappingIsDampedLongerEachTimeAndForgotten(t *testing.T) {
	p := newPatient()
	for _, want := range []int{3, 6, 12, 24, 48, 48} {
		p.fails(3)
		p.stores(3)
		p.now = p.now.Add(time.Duration(want)*interval - time.Nanosecond)
		p.is(t, tier.Healthy, 0.5)
		p.now = p.now.Add(time.Nanosecond)
		p.is(t, tier.Healthy, 1)
	}
	p.now = p.now.Add(60 * interval)
	p.fails(3)
	p.stores(3)
	p.now = p.now.Add(3 * interval)
	p.is(t, tier.Healthy, 1)
}

func TestLatencyLowersTheWeightBeforeAnythingFails(t *testing.T) {
	p := newPatient()
	p.probes(4, 5*time.Second) // no norm yet: nothing is slow
	p.is(t, tier.Healthy, 1)
	p = newPatient()
	p.probes(20, 60*time.Millisecond)
	p.probes(2, 200*time.Millisecond) // more than three times, but that is nothing to speak of
	p.is(t, tier.Healthy, 1)
	p.probes(1, 900*time.Millisecond) // one alone says little
	p.is(t, tier.Healthy, 1)
	p.probes(1, 900*time.Millisecond)
	p.is(t, tier.Healthy, 0.5)
	if v := p.view(); v.LatencyMs != 900 || v.Reason == "" {
		t.Errorf("view %+v", v)
	}
	p.probes(2, 4*time.Second)
	p.is(t, tier.Healthy, 0)
	p.probes(2, 250*time.Millisecond) // below where it began to be slow, but not by half
	p.is(t, tier.Healthy, 0.5)
	p.probes(2, 70*time.Millisecond)
	p.is(t, tier.Healthy, 1)
}

func TestWhatLastsBecomesTheNorm(t *testing.T) {
	p := newPatient()
	p.probes(60, 50*time.Millisecond)
	p.probes(60, 500*time.Millisecond) // ten minutes: not yet
	p.is(t, tier.Healthy, 0.5)
	p.probes(80, 500*time.Millisecond)
	p.is(t, tier.Healthy, 1)
}

func TestEachTurnIsToldOnce(t *testing.T) {
	p := newPatient()
	p.fails(5)
	p.Denied(p.now, "403 AccessDenied")
	p.probes(1, time.Millisecond)
	var got []tier.State
	for _, v := range p.Turns() {
		got = append(got, v.State)
	}
	want := []tier.State{tier.Degraded, tier.Parked, tier.Healthy}
	if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("turns %v, want %v", got, want)
	}
	if again := p.Turns(); len(again) != 0 {
		t.Errorf("told again: %v", again)
	}
}
