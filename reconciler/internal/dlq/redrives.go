package dlq

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// floorEvery is how often the consumers are asked how far they are.
const floorEvery = 10 * time.Second

// redrives tells whether a tier has still to do with an event that was sent to it again, by whomever: at most one is open
// for a tier and recording. One is done with when the tier's consumer has acknowledged all up to it, or when the log says
// how it ended.
type redrives struct {
	newest map[name]uint64               // sequence in RECORDINGS of the newest redrive that may be open
	ended  map[tier.Tier]map[uint64]bool // those above the floor that have ended
	floor  map[tier.Tier]uint64
}

func newRedrives() redrives {
	return redrives{map[name]uint64{}, map[tier.Tier]map[uint64]bool{tier.Primary: {}, tier.Backup: {}}, map[tier.Tier]uint64{}}
}

// open returns the newest redrive that is known, 0 for none, and whether it is open.
func (r redrives) open(n name) (newest uint64, open bool) {
	newest = r.newest[n]
	return newest, newest > r.floor[n.tier] && !r.ended[n.tier][newest]
}

// sent notes a redrive.
func (r redrives) sent(n name, seq uint64) { r.newest[n] = max(r.newest[n], seq) }

// end notes that one has ended.
func (r redrives) end(t tier.Tier, seq uint64) {
	if seq > r.floor[t] {
		r.ended[t][seq] = true
	}
}

// raise notes that the tier has acknowledged all up to seq, and forgets what is no longer of use.
func (r redrives) raise(t tier.Tier, seq uint64) {
	r.floor[t] = max(seq, r.floor[t])
	for one := range r.ended[t] {
		if one <= seq {
			delete(r.ended[t], one)
		}
	}
	for n, one := range r.newest {
		if n.tier == t && one <= seq {
			delete(r.newest, n)
		}
	}
}

// followRedrives keeps up with what is sent again and how it ends. The returned function reports whether all that was
// there in the beginning is known.
func (f *Follower) followRedrives(ctx context.Context, all *sync.WaitGroup) (whole func() bool) {
	var mu sync.Mutex
	var sent, ended *scan.Follower
	all.Go(func() {
		since, from := f.start(ctx)
		if ctx.Err() != nil {
			return
		}
		mu.Lock()
		sent = &scan.Follower{JS: f.JS, Stream: queue.Recordings, Log: f.Log, Visit: f.sent, Range: scan.Range{From: from, Subjects: []string{
			queue.RedriveSubject(tier.Primary), queue.RedriveSubject(tier.Backup),
		}}}
		ended = &scan.Follower{JS: f.JS, Stream: queue.Audit, Log: f.Log, Visit: f.ended, Range: scan.Range{Since: since, Subjects: []string{
			queue.AuditSubject(string(event.AuditRedriven), "*"), queue.AuditSubject(string(event.AuditDead), "*"),
		}}}
		mu.Unlock()
		all.Go(func() { sent.Run(ctx) })
		all.Go(func() { ended.Run(ctx) })
		f.followFloors(ctx)
	})
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		return sent != nil && sent.Whole() && ended.Whole()
	}
}

// start returns from which sequence on redrives may be open, and since when they may have ended.
func (f *Follower) start(ctx context.Context) (since time.Time, from uint64) {
	for {
		err := f.readFloors(ctx)
		if err == nil {
			f.mu.Lock()
			from = min(f.redrives.floor[tier.Primary], f.redrives.floor[tier.Backup]) + 1
			f.mu.Unlock()
			if since, err = f.firstRedrive(ctx, from); err == nil {
				return since, from
			}
		}
		if ctx.Err() != nil {
			return time.Time{}, 0
		}
		f.Log.Warn("the consumers cannot be asked how far they are", zap.String("error", fault.Text(err)))
		rest(ctx, floorEvery/2)
	}
}

// firstRedrive returns when the first redrive from that sequence on was stored, or a minute ago.
func (f *Follower) firstRedrive(ctx context.Context, from uint64) (time.Time, error) {
	first := f.Now().Add(-time.Minute)
	stream, err := f.JS.Stream(ctx, queue.Recordings)
	if err != nil {
		return first, err
	}
	for _, t := range tier.All() {
		m, err := stream.GetMsg(ctx, from, jetstream.WithGetMsgSubject(queue.RedriveSubject(t)))
		switch {
		case isAbsent(err):
		case err != nil:
			return first, err
		case m.Time.Before(first):
			first = m.Time
		}
	}
	return first, nil
}

func (f *Follower) followFloors(ctx context.Context) {
	for rest(ctx, floorEvery); ctx.Err() == nil; rest(ctx, floorEvery) {
		if err := f.readFloors(ctx); err != nil && ctx.Err() == nil {
			f.Log.Warn("the consumers cannot be asked how far they are", zap.String("error", fault.Text(err)))
		}
	}
}

func (f *Follower) readFloors(ctx context.Context) error {
	for _, t := range tier.All() {
		c, err := f.JS.Consumer(ctx, queue.Recordings, queue.ConsumerName(t, queue.Live))
		if err != nil {
			return err
		}
		f.mu.Lock()
		f.redrives.raise(t, c.CachedInfo().AckFloor.Stream)
		f.mu.Unlock()
	}
	return nil
}

// sent takes in an event that was sent again.
func (f *Follower) sent(m scan.Message) {
	var e struct {
		Data struct {
			Key string `json:"idempotencyKey"`
		} `json:"data"`
	}
	if json.Unmarshal(m.Body, &e) != nil {
		return
	}
	for _, t := range tier.All() {
		if m.Subject == queue.RedriveSubject(t) {
			f.mu.Lock()
			f.redrives.sent(name{tier: t, key: e.Data.Key}, m.Sequence)
			f.mu.Unlock()
		}
	}
}

// ended takes in an audit event that says how a delivery ended: <kind>/<tier>/RECORDINGS/<sequence> is its ID.
func (f *Follower) ended(m scan.Message) {
	d, ok := event.ParseDeliveryID(m.Header.Get(jetstream.MsgIDHeader))
	t, err := tier.Parse(d.Tier)
	if !ok || err != nil || d.Stream != queue.Recordings {
		return
	}
	f.mu.Lock()
	f.redrives.end(t, d.Sequence)
	f.mu.Unlock()
}

// rest waits for d, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
