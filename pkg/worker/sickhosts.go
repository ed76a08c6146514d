package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/tier/breaker"
)

// sickHosts has a breaker for each source host, so that recordings of one that is down do not keep the slots busy:
// redeliveries come before new messages. It opens when several *different* recordings failed and none came through since;
// one that always fails says nothing of its host.
type sickHosts struct {
	config breaker.Config

	mu    sync.Mutex
	hosts map[string]*sickHost
}

// sickHost is one host's breaker.
type sickHost struct {
	*breaker.Breaker
	failing map[string]bool // recordings that failed since one came through
	trial   bool            // half-open, and one is being tried
}

// errHostDown is the cause of a hand-back because of the recording's source host.
var errHostDown = errors.New("its host failed others of late")

// trialWait is how long a recording waits while another tries its host.
const trialWait = 5 * time.Second

func newSickHosts(c breaker.Config) *sickHosts {
	return &sickHosts{config: c, hosts: map[string]*sickHost{}}
}

func (s *sickHosts) of(host string) *sickHost {
	h := s.hosts[host]
	if h == nil {
		if len(s.hosts) >= maxHosts {
			clear(s.hosts) // a platform has a handful of media hosts
		}
		h = &sickHost{Breaker: breaker.New(s.config), failing: map[string]bool{}}
		s.hosts[host] = h
	}
	return h
}

// admit returns a fault while nothing is to be fetched from host. Once it may be tried again it lets one through, whose
// answer is told by tried.
func (s *sickHosts) admit(host string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, wait := s.of(host), time.Duration(0)
	switch state := h.State(); {
	case state == breaker.Open:
		wait = h.Remaining()
	case state == breaker.HalfOpen && h.trial:
		wait = trialWait
	case state == breaker.HalfOpen:
		h.trial = true
		return nil
	default:
		return nil
	}
	f := fault.New(fault.Throttled, fault.Source, "open media from "+host, errHostDown)
	f.RetryAfter = wait
	return f
}

// tried tells how the source answered who was admitted: any answer is a sign of life.
func (s *sickHosts) tried(host string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.of(host)
	h.trial = false
	if h.State() != breaker.HalfOpen {
		return
	}
	if sick(err) {
		h.Failed()
		return
	}
	clear(h.failing)
	h.Wrote()
}

// ended tells how the copy of a recording from that host ended.
func (s *sickHosts) ended(host, recording string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.of(host)
	switch {
	case err == nil:
		clear(h.failing)
		h.Wrote()
	case sick(err) && !errors.Is(err, errHostDown) && h.State() == breaker.Closed && !h.failing[recording]:
		h.failing[recording] = true
		h.Failed()
	}
}

// sick reports whether err is a failure of the source's host: 5xx, stall, reset, refused, 429.
func sick(err error) bool {
	return fault.Is(err, fault.Unavailable, fault.Source) || fault.Is(err, fault.Throttled, fault.Source)
}

// sparing is a source that is not asked for media of a host that is down.
type sparing struct {
	mediasource.Source
	hosts *sickHosts
}

// Open implements mediasource.Source.
func (s sparing) Open(ctx context.Context, r mediasource.Request) (*mediasource.Media, error) {
	askedIn(ctx).link = r.URL
	host := hostIn(r.URL)
	if err := s.hosts.admit(host); err != nil {
		return nil, err
	}
	m, err := s.Source.Open(ctx, r)
	s.hosts.tried(host, err)
	return m, err
}
