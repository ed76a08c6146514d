package scrub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// reason marks the scrub's among the audit events of kind run.
const reason = "scrub"

// Mark is where a tier's turn is.
type Mark struct {
	Started  time.Time
	After    string // all media up to this key are done with; "": all
	Bytes    int64  // that the turn has read
	Verdicts map[Verdict]int64
}

// Whole reports whether the turn is at its end.
func (m Mark) Whole() bool { return m.After == "" }

func (m Mark) clone() Mark {
	m.Verdicts = maps.Clone(m.Verdicts)
	return m
}

// The names of an audit event's numbers, besides the verdicts'. Times are in seconds since 1970.
const (
	countStarted  = "started"
	countBytes    = "bytes"
	countTotal    = "totalBytes"
	countKeys     = "totalObjects"
	countMeasured = "measured"
)

// data returns a mark and a size as an audit event's data.
func (m Mark) data(t tier.Tier, bucket string, z Size) event.AuditData {
	n := map[string]int64{countStarted: m.Started.Unix(), countBytes: m.Bytes}
	for v, count := range m.Verdicts {
		n[string(v)] = count
	}
	if !z.At.IsZero() {
		n[countTotal], n[countKeys], n[countMeasured] = z.Bytes, z.Keys, z.At.Unix()
	}
	return event.AuditData{Tier: t.String(), Bucket: bucket, ObjectKey: m.After, Reason: reason, By: by, Counts: n}
}

// parse reads back the body of an audit event. ok is false for what is none of the scrub's, or of another bucket.
func parse(body []byte, bucket string) (m Mark, z Size, ok bool) {
	var a struct{ Data event.AuditData }
	if json.Unmarshal(body, &a) != nil || a.Data.Reason != reason || a.Data.Bucket != bucket || a.Data.Counts[countStarted] == 0 {
		return Mark{}, Size{}, false
	}
	n := a.Data.Counts
	m = Mark{Started: time.Unix(n[countStarted], 0), After: a.Data.ObjectKey, Bytes: n[countBytes], Verdicts: map[Verdict]int64{}}
	for _, v := range verdicts() {
		if n[string(v)] != 0 {
			m.Verdicts[v] = n[string(v)]
		}
	}
	if n[countMeasured] != 0 {
		z = Size{Bytes: n[countTotal], Keys: n[countKeys], At: time.Unix(n[countMeasured], 0)}
	}
	return m, z, true
}

// LastRun returns the function by which a Scrubber finds the newest audit event of kind run of a tier.
func LastRun(js jetstream.JetStream) func(ctx context.Context, t tier.Tier) ([]byte, error) {
	return func(ctx context.Context, t tier.Tier) ([]byte, error) {
		s, err := js.Stream(ctx, queue.Audit)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			err = queue.ErrNotProvisioned
		}
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", queue.Audit, err)
		}
		m, err := s.GetLastMsgForSubject(ctx, queue.AuditSubject(string(event.AuditRun), t.String()))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("read stream %s: %w", queue.Audit, err)
		}
		return m.Data, nil
	}
}

// recall finds out where the tier's turn was, and begins one where nothing is remembered. An error says that ctx has ended.
func (s *Scrubber) recall(ctx context.Context, l *lane) error {
	for failures := 1; ; failures++ {
		var body []byte
		err := within(ctx, actTime, func(ctx context.Context) (err error) {
			body, err = s.Last(ctx, l.tier)
			return err
		})
		if err == nil {
			s.begin(l)
			if m, z, ok := parse(body, l.store.Bucket()); ok {
				s.mu.Lock()
				l.mark, l.size, l.saved, l.changed = m, z, time.Now(), false
				s.mu.Unlock()
			}
			return nil
		}
		if failures == 1 && ctx.Err() == nil {
			s.Log.Warn("reading back waits: where it was cannot be read", zap.String("tier", l.tier.String()), zap.String("error", fault.Text(err)))
		}
		if err := sleep(ctx, s.Waits.Delay(failures)); err != nil {
			return err
		}
	}
}

// remember writes down, now and then, where the turn is, and once more when ctx has ended.
func (s *Scrubber) remember(ctx context.Context, l *lane) {
	for sleep(ctx, look) == nil {
		s.mu.Lock()
		since := time.Since(l.saved)
		due := l.changed && since >= saveEvery || since >= saveIdle
		s.mu.Unlock()
		if due {
			s.save(ctx, l)
		} else {
			s.flush(ctx, l)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	s.save(ctx, l)
}

// save writes down where the turn is, unless there are findings that could not be: after a restart they are found again.
func (s *Scrubber) save(ctx context.Context, l *lane) {
	l.saving.Lock() // of two, the newer is written last
	defer l.saving.Unlock()
	s.mu.Lock()
	m, z := l.mark.clone(), l.size
	l.changed = false
	s.mu.Unlock()
	written := s.settle(ctx, l)
	if written {
		now := time.Now()
		err := within(ctx, actTime, func(ctx context.Context) error {
			return s.Audit.Audit(ctx, event.Audit{Kind: event.AuditRun, Tier: l.tier.String(), Time: now, Data: m.data(l.tier, l.store.Bucket(), z)})
		})
		s.silence(ctx, l, err)
		written = err == nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.changed = l.changed || !written
	if written {
		l.saved = time.Now()
	}
}
