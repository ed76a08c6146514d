package worker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/tier/breaker"
)

const cdn = "cdn.example.com"

func link(n int) string { return fmt.Sprintf("https://%s/%d", cdn, n) }

// hostsIn gives a test breakers of source hosts, in a bubble of time.
func hostsIn(t *testing.T, test func(t *testing.T, s *sickHosts)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newSickHosts(breaker.Config{Failures: 3, Open: 30 * time.Second})) })
}

func down() error { return sourceFault(fault.Unavailable, 503) }

func TestAHostThatFailsDifferentRecordingsIsLeftAloneForAWhile(t *testing.T) {
	hostsIn(t, func(t *testing.T, s *sickHosts) {
		for n := range 3 {
			if err := s.admit(cdn); err != nil {
				t.Fatal(err)
			}
			s.ended(cdn, link(n), down())
		}
		err := s.admit(cdn)
		if !errors.Is(err, errHostDown) || fault.RetryAfterOf(err) != 30*time.Second || fault.PartOf(err) != fault.Source {
			t.Fatalf("got %v", err)
		}
		if err := s.admit("other.example.com"); err != nil {
			t.Errorf("another host suffers: %v", err)
		}
		time.Sleep(30 * time.Second)
		if err := s.admit(cdn); err != nil {
			t.Fatalf("nobody may try: %v", err)
		}
		if err := s.admit(cdn); err == nil {
			t.Error("two try at once")
		}
		s.tried(cdn, down())
		if err := s.admit(cdn); err == nil {
			t.Error("the trial failed, and it is open to all")
		}
		time.Sleep(30 * time.Second)
		_ = s.admit(cdn)
		s.tried(cdn, sourceFault(fault.SourceGone, 404)) // an answer, for better or worse
		for range 2 {
			if err := s.admit(cdn); err != nil {
				t.Errorf("still shut: %v", err)
			}
		}
	})
}

func TestARecordingThatAlwaysFailsSaysNothingOfItsHost(t *testing.T) {
	hostsIn(t, func(t *testing.T, s *sickHosts) {
		for range 50 {
			if err := s.admit(cdn); err != nil {
				t.Fatal(err)
			}
			s.tried(cdn, down())
			s.ended(cdn, link(1), down())
		}
		s.ended(cdn, link(2), down())
		s.ended(cdn, link(3), nil) // one that came through: the host is well
		s.ended(cdn, link(4), down())
		s.ended(cdn, link(5), down())
		if err := s.admit(cdn); err != nil {
			t.Error(err)
		}
	})
}

func TestOtherFailuresDoNotCountAgainstAHost(t *testing.T) {
	hostsIn(t, func(t *testing.T, s *sickHosts) {
		for n, err := range []error{
			sourceFault(fault.SourceGone, 404), sourceFault(fault.Corrupt, 0), sourceFault(fault.Permanent, 0),
			storeFault(fault.Unavailable, 503), context.Canceled, sourceFault(fault.Transient, 0),
		} {
			s.ended(cdn, link(n), err)
		}
		if err := s.admit(cdn); err != nil {
			t.Error(err)
		}
	})
}

// gone is a source whose host is down, and counts how often it is asked.
type gone struct {
	asked int
	err   error
}

func (g *gone) Open(context.Context, mediasource.Request) (*mediasource.Media, error) {
	g.asked++
	return nil, g.err
}

func TestAHostThatIsDownCostsNoFetchAndNoCount(t *testing.T) {
	b := newBed(t, "test13", func(c *Config) { c.Breaker = breaker.Config{Failures: 3, Open: time.Minute} })
	g := &gone{err: down()}
	b.copier.Source = sparing{g, b.sick}
	recording := func(n int) func(*event.Data) {
		return func(d *event.Data) { d.RecordingID, d.Media.URL = fmt.Sprintf("rec-%d", n), link(n) }
	}
	for n := range 10 {
		after := b.fails(b.delivery(uint64(n+1), 1, recording(n)))
		if n >= 3 && after < 50*time.Second {
			t.Errorf("recording %d comes again in %s", n, after)
		}
	}
	if g.asked != 3 {
		t.Errorf("the host was asked %d times", g.asked)
	}
	if a := b.attempts("rec-9", 10); a.Failed != 0 {
		t.Errorf("counted %+v", a)
	}
	b.alive()
}
