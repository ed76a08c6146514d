// Package gauges are the leader's metrics of what waits: backlogs, dead letters, and how full the streams are.
package gauges

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/backlog"
)

// Times of looking. What could not be renewed for long is shown no more: no number is better than an old one.
const (
	readEvery   = 10 * time.Second
	readTimeout = 8 * time.Second
	staleAfter  = time.Minute
)

// Gauges is the collector. Only while Run runs, by the leader, there is something to collect, so that the numbers of
// several instances can be summed. It is safe for concurrent use.
type Gauges struct {
	js   jetstream.JetStream
	peer *backlog.Peer // nil: there is none
	log  *zap.Logger

	backlog, oldest, letters, bytes, limit, behind, since *prometheus.Desc

	mu     sync.Mutex
	latest *reading
	open   func() map[tier.Tier]map[queue.Reason]int
}

// reading is one look.
type reading struct {
	at      time.Time
	tiers   []backlog.Tier
	streams []stream
	mirrors []backlog.Mirror
}

type stream struct {
	name         string
	bytes, limit float64
}

// New registers the collector.
func New(js jetstream.JetStream, peer queue.Peer, r prometheus.Registerer, log *zap.Logger) *Gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("twinreel_"+name, help, labels, nil)
	}
	g := &Gauges{
		js: js, log: log,
		backlog: desc("backlog", "Events that a tier has not done with: live, backfill and peer (the other region's) wait, redelivering were delivered more than once.", "tier", "kind"),
		oldest:  desc("oldest_unfinished_seconds", "Age of the oldest event that a tier has not done with, 0 if there is none.", "tier"),
		letters: desc("dead_letters_open", "Recordings with an open dead letter, as dlq list counts them.", "tier", "reason"),
		bytes:   desc("stream_bytes", "Bytes that a stream holds.", "stream"),
		limit:   desc("stream_max_bytes", "Bytes that a stream may hold.", "stream"),
		behind:  desc("peer_lag_messages", "Messages of the other region that a mirror has not, as far as its region was heard of last.", "stream"),
		since:   desc("peer_lag_seconds", "Since when a mirror has not been known to hold all of the other region's stream; 0 while it does.", "stream"),
	}
	if peer.Known() {
		g.peer = backlog.NewPeer(js, peer)
	}
	r.MustRegister(g)
	return g
}

// Run looks now and then until ctx ends; open tells the open letters.
func (g *Gauges) Run(ctx context.Context, open func() map[tier.Tier]map[queue.Reason]int) {
	g.set(nil, open)
	defer g.set(nil, nil)
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	for {
		r, err := g.read(ctx)
		switch {
		case err == nil:
			g.set(r, open)
		case ctx.Err() == nil:
			g.log.Warn("backlogs cannot be read", zap.String("error", fault.Text(err)))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (g *Gauges) set(r *reading, open func() map[tier.Tier]map[queue.Reason]int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.latest, g.open = r, open
}

func (g *Gauges) read(ctx context.Context) (*reading, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	r := &reading{at: time.Now()}
	var err error
	if r.tiers, err = backlog.Waiting(ctx, g.js, r.at); err != nil {
		return nil, err
	}
	if g.peer != nil {
		if err := g.peer.Waiting(ctx, r.tiers); err != nil {
			return nil, err
		}
	}
	names := []string{queue.Recordings, queue.DeadLetters, queue.Audit}
	if g.peer != nil {
		names = append(names, queue.PeerRecordings) // full, it takes no more; AUDIT's mirror forgets its oldest, and is always full
	}
	for _, name := range names {
		s, err := g.js.Stream(ctx, name)
		if err != nil {
			return nil, err
		}
		info := s.CachedInfo()
		r.streams = append(r.streams, stream{name, float64(info.State.Bytes), float64(info.Config.MaxBytes)})
	}
	if g.peer != nil {
		if r.mirrors, err = g.peer.Mirrors(ctx, r.at); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Describe implements prometheus.Collector.
func (g *Gauges) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.backlog, g.oldest, g.letters, g.bytes, g.limit, g.behind, g.since} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (g *Gauges) Collect(out chan<- prometheus.Metric) {
	g.mu.Lock()
	r, open := g.latest, g.open
	g.mu.Unlock()
	send := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if open != nil {
		for t, byReason := range open() {
			for _, reason := range queue.Reasons() {
				send(g.letters, float64(byReason[reason]), t.String(), string(reason))
			}
		}
	}
	if r == nil || time.Since(r.at) > staleAfter {
		return
	}
	for _, t := range r.tiers {
		send(g.backlog, float64(t.Backlog), t.Tier.String(), "live")
		send(g.backlog, float64(t.Backfill), t.Tier.String(), "backfill")
		send(g.backlog, float64(t.Redelivering), t.Tier.String(), "redelivering")
		if g.peer != nil {
			send(g.backlog, float64(t.Peer), t.Tier.String(), "peer")
		}
		send(g.oldest, t.OldestSeconds, t.Tier.String())
	}
	for _, s := range r.streams {
		send(g.bytes, s.bytes, s.name)
		send(g.limit, s.limit, s.name)
	}
	for _, m := range r.mirrors {
		send(g.behind, float64(m.Behind), m.Stream)
		send(g.since, m.LagSeconds, m.Stream)
	}
}
