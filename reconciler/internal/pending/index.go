// Package pending tells at once whether a recording was accepted a moment ago: an index, in memory, of the events of
// RECORDINGS that are not yet finished.
//
// The stream's own names tell nothing of the recording, and searching it would take minutes. Whatever is below every
// consumer's acknowledgement floor is stored or a dead letter, and found there; so only what is above is kept: a few
// thousand events on a good day, and after an outage of days at most Most of them, some 40 bytes each. What is older then
// is searched for in the stream itself.
package pending

import (
	"context"
	"encoding/json"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// Most is how many events are kept at most.
const Most = 1 << 20

// Times of keeping up.
const (
	floorEvery = 10 * time.Second
	lookEvery  = 10 * time.Millisecond
)

// ErrUnknown is returned for a recording that no unfinished event names.
var ErrUnknown = errors.New("not accepted, or finished")

// Index is the index. It is safe for concurrent use.
type Index struct {
	js   jetstream.JetStream
	log  *zap.Logger
	most int
	seed maphash.Seed

	mu       sync.Mutex
	follower *scan.Follower
	newest   map[uint64]uint64 // sequence of a recording's newest event, by the hash of its key
	order    []item            // oldest first
	floor    uint64            // up to here all are finished
	left     uint64            // up to here unfinished ones may not be kept
}

type item struct{ hash, sequence uint64 }

// New returns an index that knows nothing before Run runs.
func New(js jetstream.JetStream, log *zap.Logger) *Index {
	return &Index{js: js, log: log, most: Most, seed: maphash.MakeSeed(), newest: map[uint64]uint64{}}
}

// Run keeps up with the stream until ctx ends.
func (x *Index) Run(ctx context.Context) {
	for !x.begin(ctx) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { x.follower.Run(ctx) })
	tick := time.NewTicker(floorEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if floor, err := x.readFloor(ctx); err == nil {
			x.forget(floor)
		}
	}
}

// begin finds where to begin.
func (x *Index) begin(ctx context.Context) bool {
	floor, err := x.readFloor(ctx)
	if err != nil {
		return false
	}
	stream, err := x.js.Stream(ctx, queue.Recordings)
	if err != nil {
		return false
	}
	from := floor + 1
	if last := stream.CachedInfo().State.LastSeq; last > floor+uint64(x.most) {
		from = last - uint64(x.most) + 1
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.floor, x.left = floor, from-1
	x.follower = &scan.Follower{JS: x.js, Stream: queue.Recordings, Range: scan.Range{From: from}, Visit: x.take, Log: x.log}
	return true
}

// readFloor returns a sequence up to which all consumers have acknowledged everything. The stream is asked first: what
// comes while the consumers are asked is above.
func (x *Index) readFloor(ctx context.Context) (uint64, error) {
	stream, err := x.js.Stream(ctx, queue.Recordings)
	if err != nil {
		return 0, err
	}
	floor := stream.CachedInfo().State.LastSeq
	for _, t := range tier.All() {
		for _, lane := range queue.Lanes() {
			c, err := x.js.Consumer(ctx, queue.Recordings, queue.ConsumerName(t, lane))
			if err != nil {
				return 0, err
			}
			if info := c.CachedInfo(); info.NumPending > 0 || info.NumAckPending > 0 {
				floor = min(floor, info.AckFloor.Stream)
			}
		}
	}
	return floor, nil
}

// take notes one event.
func (x *Index) take(m scan.Message) {
	key := KeyOf(m.Body)
	if key == "" {
		return
	}
	h := maphash.String(x.seed, key)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.newest[h] = m.Sequence
	x.order = append(x.order, item{h, m.Sequence})
	for len(x.order) > x.most {
		x.left = x.order[0].sequence
		x.drop()
	}
}

// forget drops what is finished.
func (x *Index) forget(floor uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.floor = max(x.floor, floor)
	for len(x.order) > 0 && x.order[0].sequence <= x.floor {
		x.drop()
	}
}

// drop forgets the oldest. The lock is held.
func (x *Index) drop() {
	if o := x.order[0]; x.newest[o.hash] == o.sequence {
		delete(x.newest, o.hash)
	}
	x.order = x.order[1:]
}

// KeyOf reads an event's idempotency key, loosely: an event of a newer version tells it as well. "" if there is none.
func KeyOf(body []byte) string {
	var e struct {
		Data struct {
			Key string `json:"idempotencyKey"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &e) != nil {
		return ""
	}
	return e.Data.Key
}

// Find returns the newest unfinished event of the recording. What the stream had acknowledged before the call is found.
// ErrUnknown; any other error means that it could not be asked before ctx ended.
func (x *Index) Find(ctx context.Context, key string) (scan.Message, error) {
	seq, ok := x.known(key)
	if !ok {
		if err := x.caughtUp(ctx); err != nil {
			return scan.Message{}, err
		}
		if seq, ok = x.known(key); !ok {
			return x.search(ctx, key)
		}
	}
	stream, err := x.js.Stream(ctx, queue.Recordings)
	if err != nil {
		return scan.Message{}, unanswered(err)
	}
	m, err := stream.GetMsg(ctx, seq)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return scan.Message{}, unanswered(err) // a replica that lags
	case err != nil:
		return scan.Message{}, unanswered(err)
	case KeyOf(m.Data) != key: // two keys of one hash
		return x.search(ctx, key)
	}
	return scan.Message{Subject: m.Subject, Sequence: m.Sequence, Stored: m.Time, Header: m.Header, Body: m.Data}, nil
}

func (x *Index) known(key string) (uint64, bool) {
	h := maphash.String(x.seed, key)
	x.mu.Lock()
	defer x.mu.Unlock()
	seq, ok := x.newest[h]
	return seq, ok
}

// caughtUp waits until the index has all that the stream holds now.
func (x *Index) caughtUp(ctx context.Context) error {
	stream, err := x.js.Stream(ctx, queue.Recordings)
	if err != nil {
		return unanswered(err)
	}
	last := stream.CachedInfo().State.LastSeq
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		x.mu.Lock()
		f := x.follower
		x.mu.Unlock()
		if f != nil && f.Whole() && f.Through() >= last {
			return nil
		}
		select {
		case <-ctx.Done():
			return unanswered(ctx.Err())
		case <-tick.C:
		}
	}
}

// errFound ends a search.
var errFound = errors.New("found")

// search looks in the stream itself for what is unfinished and older than what is kept.
func (x *Index) search(ctx context.Context, key string) (found scan.Message, err error) {
	x.mu.Lock()
	from, left := x.floor+1, x.left
	x.mu.Unlock()
	if from > left {
		return scan.Message{}, ErrUnknown
	}
	past := errors.New("past what is not kept")
	err = scan.Stream(ctx, x.js, queue.Recordings, scan.Range{From: from}, func(m scan.Message) error {
		switch {
		case m.Sequence > left:
			return past
		case KeyOf(m.Body) == key:
			found = m
			return errFound
		}
		return nil
	})
	switch {
	case errors.Is(err, errFound):
		return found, nil
	case err == nil || errors.Is(err, past):
		return scan.Message{}, ErrUnknown
	}
	return scan.Message{}, unanswered(err)
}

func unanswered(err error) error {
	return fault.New(fault.Unavailable, fault.Queue, "look for an unfinished event", err)
}
