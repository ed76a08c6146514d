package backlog

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
)

// heardWithin is how long ago a mirror may have heard of its home to be in step with it: its home tells it each second that
// there is nothing new.
const heardWithin = 15 * time.Second

// Peer looks how far the mirrors of the other region are. It is safe for concurrent use.
type Peer struct {
	js      jetstream.JetStream
	of      queue.Peer
	streams []string

	mu   sync.Mutex
	last map[string]time.Time // when a mirror was last seen to hold all
}

// NewPeer returns who looks at the mirrors of that peer. What it has not seen in step yet lags since now.
func NewPeer(js jetstream.JetStream, of queue.Peer) *Peer {
	p := &Peer{js: js, of: of, streams: of.Streams(), last: map[string]time.Time{}}
	for _, s := range p.streams {
		p.last[s] = time.Now()
	}
	return p
}

// Mirror is how far one mirror is.
type Mirror struct {
	Stream     string
	Behind     uint64  // messages that its home had when it was last heard of, and the mirror has not
	LagSeconds float64 // since it was last seen to hold all; 0 while it does
}

// Mirrors returns how far each is.
func (p *Peer) Mirrors(ctx context.Context, now time.Time) ([]Mirror, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Mirror
	for _, name := range p.streams {
		s, err := p.js.Stream(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", name, err)
		}
		info := s.CachedInfo().Mirror
		if info == nil {
			return nil, fmt.Errorf("stream %s is no mirror", name)
		}
		one := Mirror{Stream: name, Behind: info.Lag}
		if info.Lag == 0 && info.Active >= 0 && info.Active < heardWithin && p.follows(ctx, name, s.CachedInfo().State.LastSeq) {
			p.last[name] = now
		}
		one.LagSeconds = now.Sub(p.last[name]).Seconds()
		out = append(out, one)
	}
	return out, nil
}

// follows reports whether the mirror, which holds messages up to last, is still of the stream that is at home now: one that began
// anew there sends it nothing until it is as long as the old one was, and the server takes the mirror to be in step meanwhile.
func (p *Peer) follows(ctx context.Context, mirror string, last uint64) bool {
	var name string
	switch mirror {
	case queue.PeerRecordings:
		name = queue.Recordings
	case queue.PeerAudit:
		name = queue.Audit
	default:
		return true // a bucket's: nobody here may ask for it at home, and it began anew with the others
	}
	home, err := p.of.JetStream(p.js)
	if err != nil {
		return false
	}
	s, err := home.Stream(ctx, name)
	return err == nil && s.CachedInfo().State.LastSeq >= last
}

// Waiting adds to each tier what it has still to look at of the other region's events.
func (p *Peer) Waiting(ctx context.Context, tiers []Tier) error {
	for i := range tiers {
		name := queue.ConsumerName(tiers[i].Tier, queue.PeerLane)
		c, err := p.js.Consumer(ctx, queue.PeerRecordings, name)
		if err != nil {
			return fmt.Errorf("consumer %s: %w", name, err)
		}
		info := c.CachedInfo()
		tiers[i].Peer = info.NumPending + uint64(info.NumAckPending)
	}
	return nil
}
