package pending

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// MostAudited is how many of the newest audit events are kept, at some 40 bytes each.
const MostAudited = 1 << 19

// Log tells at once which events of AUDIT are about a recording: an index of the newest, of those that are not sealed. It is
// safe for concurrent use.
type Log struct {
	js   jetstream.JetStream
	log  *zap.Logger
	most int
	seed maphash.Seed

	mu       sync.Mutex
	follower *scan.Follower
	known    map[uint64][]uint64 // sequences by the hash of the key, oldest first
	order    []item              // oldest first
	left     uint64              // up to here events are not kept
}

// NewLog returns an index that knows nothing before Run runs.
func NewLog(js jetstream.JetStream, log *zap.Logger) *Log {
	return &Log{js: js, log: log, most: MostAudited, seed: maphash.MakeSeed(), known: map[uint64][]uint64{}}
}

// Run keeps up with the stream until ctx ends.
func (x *Log) Run(ctx context.Context) {
	for !x.begin(ctx) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
	x.follower.Run(ctx)
}

// begin finds where to begin.
func (x *Log) begin(ctx context.Context) bool {
	stream, err := x.js.Stream(ctx, queue.Audit)
	if err != nil {
		return false
	}
	state := stream.CachedInfo().State
	from := max(state.FirstSeq, 1)
	if state.LastSeq >= from+uint64(x.most) {
		from = state.LastSeq - uint64(x.most) + 1
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.left = from - 1
	x.follower = &scan.Follower{JS: x.js, Stream: queue.Audit, Range: scan.Range{From: from}, Visit: x.take, Log: x.log}
	return true
}

// take notes one event.
func (x *Log) take(m scan.Message) {
	key := KeyOf(m.Body)
	x.mu.Lock()
	defer x.mu.Unlock()
	if m.Sequence <= x.left { // the stream was made anew
		clear(x.known)
		x.order, x.left = nil, 0
	}
	if key == "" {
		return
	}
	h := maphash.String(x.seed, key)
	x.known[h] = append(x.known[h], m.Sequence)
	x.order = append(x.order, item{h, m.Sequence})
	for len(x.order) > x.most {
		x.drop()
	}
}

// Sealed drops what is sealed: it is found in the sealed log.
func (x *Log) Sealed(through uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for len(x.order) > 0 && x.order[0].sequence <= through {
		x.drop()
	}
	x.left = max(x.left, through)
}

// drop forgets the oldest. The lock is held.
func (x *Log) drop() {
	o := x.order[0]
	x.order, x.left = x.order[1:], o.sequence
	if list := x.known[o.hash]; len(list) > 1 {
		x.known[o.hash] = list[1:]
	} else {
		delete(x.known, o.hash)
	}
}

// Find returns the audit events about the recording that came after the sequence that is sealed, oldest first. whole is
// false where there are more, which are not kept. An error means that they could not be asked for before ctx ended.
func (x *Log) Find(ctx context.Context, key string, sealed uint64) (out []scan.Message, whole bool, err error) {
	if err := x.ready(ctx); err != nil {
		return nil, false, err
	}
	stream, err := x.js.Stream(ctx, queue.Audit)
	if err != nil {
		return nil, false, unanswered(err)
	}
	x.mu.Lock()
	list := slices.Clone(x.known[maphash.String(x.seed, key)])
	whole = x.left <= sealed || x.left < stream.CachedInfo().State.FirstSeq // what is not kept is sealed, or purged
	x.mu.Unlock()
	for _, seq := range list {
		if seq <= sealed {
			continue
		}
		m, err := stream.GetMsg(ctx, seq)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound): // purged, because it is sealed
		case err != nil:
			return out, false, unanswered(err)
		case KeyOf(m.Data) == key:
			out = append(out, scan.Message{Subject: m.Subject, Sequence: m.Sequence, Stored: m.Time, Header: m.Header, Body: m.Data})
		}
	}
	return out, whole, nil
}

// ready waits until what the stream held at the beginning is read.
func (x *Log) ready(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		x.mu.Lock()
		f := x.follower
		x.mu.Unlock()
		if f != nil && f.Whole() {
			return nil
		}
		select {
		case <-ctx.Done():
			return unanswered(ctx.Err())
		case <-tick.C:
		}
	}
}
