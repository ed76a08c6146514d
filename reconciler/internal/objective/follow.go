package objective

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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

// Times of following.
const (
	ahead      = time.Hour // so far RECORDINGS may be read ahead of AUDIT: what is read and not judged is held
	judgeEvery = 5 * time.Second
	settled    = 5 * time.Second // what is older has surely been seen
	fillEvery  = time.Minute
)

// Follower keeps a Tally in step with the streams. Make it with New.
type Follower struct {
	js    jetstream.JetStream
	log   *zap.Logger
	back  time.Duration // how far back it begins at most
	tally *Tally

	acked, stored *scan.Follower

	mu       sync.Mutex
	moved    chan struct{} // closed, and made anew, whenever one of the two gets on
	ackedAt  time.Time     // how far each is
	storedAt time.Time
	streams  []Fill
}

// New returns a Follower that begins so far back, at most 31 days, and not before AUDIT's oldest event, if some are gone.
func New(js jetstream.JetStream, log *zap.Logger, back time.Duration) *Follower {
	return &Follower{js: js, log: log, back: min(back, keepDays), moved: make(chan struct{})}
}

// begin finds out from when on everything is known, and prepares the following.
func (f *Follower) begin(ctx context.Context, now time.Time) error {
	s, err := f.js.Stream(ctx, queue.Audit)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("stream %s: %w", queue.Audit, queue.ErrNotProvisioned)
	}
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", queue.Audit, err)
	}
	since := now.Add(-f.back)
	if state := s.CachedInfo().State; state.FirstSeq > 1 && state.FirstTime.After(since) {
		since = state.FirstTime
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tally = NewTally(since)
	f.acked = &scan.Follower{
		JS: f.js, Stream: queue.Recordings, Log: f.log, Visit: func(m scan.Message) { f.visitAcked(ctx, m) },
		Range: scan.Range{Subjects: []string{queue.CompletedSubject("*")}, Since: since},
	}
	f.stored = &scan.Follower{
		JS: f.js, Stream: queue.Audit, Log: f.log, Visit: func(m scan.Message) { f.visitStored(ctx, m) },
		Range: scan.Range{Since: since, Subjects: []string{
			queue.AuditSubject(string(event.AuditStored), "*"), queue.AuditSubject(string(event.AuditAlreadyPresent), "*"),
			queue.AuditSubject(string(event.AuditAcceptedUnverified), "*"),
		}},
	}
	return nil
}

// Run follows until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	said := ""
	for {
		err := f.begin(ctx, time.Now())
		if err == nil {
			break
		}
		if text := fault.Text(err); text != said && ctx.Err() == nil {
			f.log.Warn("the redundancy objective cannot be measured yet", zap.String("error", text))
			said = text
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { f.acked.Run(ctx) })
	all.Go(func() { f.stored.Run(ctx) })
	judge, fill := time.NewTicker(judgeEvery), time.NewTicker(fillEvery)
	defer judge.Stop()
	defer fill.Stop()
	f.lookAtStreams(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-judge.C:
			f.judge()
		case <-fill.C:
			f.lookAtStreams(ctx)
		}
	}
}

// judge judges as far as everything is known.
func (f *Follower) judge() {
	until := time.Now().Add(-settled)
	if !f.whole() {
		f.mu.Lock()
		until = f.storedAt
		f.mu.Unlock()
	}
	if !until.IsZero() {
		f.tally.Judge(until)
	}
}

// whole reports whether all was read that the streams held when it began.
func (f *Follower) whole() bool { return f.acked.Whole() && f.stored.Whole() }

func (f *Follower) lookAtStreams(ctx context.Context) {
	const timeout = 20 * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	list, err := fills(ctx, f.js, time.Now())
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			f.log.Warn("how fast the streams fill cannot be told", zap.String("error", fault.Text(err)))
		}
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.streams = list
}

// Report returns what is known now; ok is false before anything is.
func (f *Follower) Report() (r Report, ok bool) {
	f.mu.Lock()
	tally, streams := f.tally, f.streams
	f.mu.Unlock()
	if tally == nil {
		return Report{}, false
	}
	r = tally.Report()
	r.Whole = f.whole()
	if r.Streams = streams; r.Streams == nil {
		r.Streams = []Fill{}
	}
	return r, true
}

// visitAcked takes an acknowledged event, unless that would be too far ahead of what AUDIT has told.
func (f *Follower) visitAcked(ctx context.Context, m scan.Message) {
	f.at(&f.ackedAt, m.Stored)
	f.wait(ctx, func() bool { return f.stored.Whole() || !f.storedAt.Before(m.Stored.Add(-ahead)) })
	var e struct {
		Data struct {
			IdempotencyKey string `json:"idempotencyKey"`
		} `json:"data"`
	}
	if json.Unmarshal(m.Body, &e) == nil && e.Data.IdempotencyKey != "" {
		f.tally.Acknowledged(e.Data.IdempotencyKey, m.Stored)
	}
}

// visitStored takes what AUDIT tells of a copy, once RECORDINGS is read as far.
func (f *Follower) visitStored(ctx context.Context, m scan.Message) {
	f.at(&f.storedAt, m.Stored)
	f.wait(ctx, func() bool { return f.acked.Whole() || !f.ackedAt.Before(m.Stored) })
	kind, of, _ := strings.Cut(strings.TrimPrefix(m.Subject, "audit."), ".")
	t, err := tier.Parse(of)
	var e struct {
		Data event.AuditData `json:"data"`
	}
	if err != nil || json.Unmarshal(m.Body, &e) != nil || e.Data.IdempotencyKey == "" {
		return
	}
	f.tally.Verified(e.Data.IdempotencyKey, t, m.Stored, event.AuditKind(kind) != event.AuditAcceptedUnverified)
	if !f.whole() { // so that what was read and is done with is not held until all is read
		f.tally.Judge(m.Stored)
	}
}

// at notes how far one of the two is.
func (f *Follower) at(which *time.Time, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*which = at
	close(f.moved)
	f.moved = make(chan struct{})
}

// wait waits until ready, which is called under the lock, or ctx ends. One that has come to its end is noticed as well, though
// it tells nobody.
func (f *Follower) wait(ctx context.Context, ready func() bool) {
	for {
		f.mu.Lock()
		ok, moved := ready(), f.moved
		f.mu.Unlock()
		if ok {
			return
		}
		const look = 50 * time.Millisecond
		select {
		case <-ctx.Done():
			return
		case <-moved:
		case <-time.After(look):
		}
	}
}

// Once reads all that the streams hold, and reports it.
func (f *Follower) Once(ctx context.Context) (Report, error) {
	if err := f.begin(ctx, time.Now()); err != nil {
		return Report{}, err
	}
	reading, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { f.acked.Run(reading) })
	all.Go(func() { f.stored.Run(reading) })
	f.wait(ctx, f.whole)
	stop()
	all.Wait()
	if err := ctx.Err(); err != nil {
		return Report{}, fmt.Errorf("read %s and %s: %w", queue.Recordings, queue.Audit, err)
	}
	f.tally.Judge(time.Now().Add(-settled))
	list, err := fills(ctx, f.js, time.Now())
	if err != nil {
		return Report{}, err
	}
	f.streams = list
	r, _ := f.Report()
	return r, nil
}

// isGone reports whether there is no message of that sequence, nor a later one.
func isGone(err error) bool { return errors.Is(err, jetstream.ErrMsgNotFound) }
