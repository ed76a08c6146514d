// Package memledger is the ledger in memory, for tests. It behaves like the one in Redis, with a clock of the test's
// own; only leases lapse, everything else stays until Clear.
package memledger

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/tier"
)

// place names a claim.
type place struct {
	id   string
	tier tier.Tier
}

// claim is what stands at a place; holder is nil when the recording is done.
type claim struct {
	holder *lease
	until  time.Time // of a lease
}

// count names the attempts of a message.
type count struct {
	place
	message ledger.Message
}

// tally is what is counted of them.
type tally struct {
	failed, counted int
	last            time.Time
	kinds           map[string]int
	first           map[string]time.Time
}

// Ledger is a ledger.Ledger in memory. It is safe for concurrent use.
type Ledger struct {
	now func() time.Time

	mu      sync.Mutex
	away    bool
	claims  map[place]claim
	uploads map[place]string
	records map[string]*ledger.Record
	counts  map[count]*tally
}

// New returns an empty Ledger whose leases lapse by the clock now.
func New(now func() time.Time) *Ledger {
	l := &Ledger{now: now}
	l.Clear()
	return l
}

// Clear forgets everything, leases as well.
func (l *Ledger) Clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.claims, l.uploads = map[place]claim{}, map[place]string{}
	l.records, l.counts = map[string]*ledger.Record{}, map[count]*tally{}
}

// SetAway makes every call fail, or work again.
func (l *Ledger) SetAway(away bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = away
}

// enter locks the ledger, or fails as a server does that is away or not asked before ctx ended.
func (l *Ledger) enter(ctx context.Context, op string) (leave func(), err error) {
	l.mu.Lock()
	if err := ctx.Err(); err != nil {
		l.mu.Unlock()
		return nil, fault.New(fault.Unavailable, fault.Ledger, op, err)
	}
	if l.away {
		l.mu.Unlock()
		return nil, fault.New(fault.Unavailable, fault.Ledger, op, errors.New("the ledger is away"))
	}
	return l.mu.Unlock, nil
}

// Ping implements ledger.Ledger.
func (l *Ledger) Ping(ctx context.Context) error {
	leave, err := l.enter(ctx, "ping")
	if err != nil {
		return err
	}
	leave()
	return nil
}

// Claim implements ledger.Ledger.
func (l *Ledger) Claim(ctx context.Context, id string, t tier.Tier) (ledger.Claim, error) {
	leave, err := l.enter(ctx, "claim "+id)
	if err != nil {
		return ledger.Claim{}, err
	}
	defer leave()
	at := place{id, t}
	there, taken := l.claims[at]
	switch {
	case taken && there.holder == nil:
		orphan := l.uploads[at]
		delete(l.uploads, at)
		return ledger.Claim{State: ledger.Done, Orphan: orphan}, nil
	case taken && l.now().Before(there.until):
		return ledger.Claim{State: ledger.Held}, nil
	}
	mine := &lease{ledger: l, place: at}
	l.claims[at] = claim{holder: mine, until: l.now().Add(ledger.LeaseTime)}
	return ledger.Claim{State: ledger.Claimed, Lease: mine, Orphan: l.uploads[at]}, nil
}

// Finished implements ledger.Ledger.
func (l *Ledger) Finished(ctx context.Context, id string, t tier.Tier, c ledger.Copy) (ledger.Record, error) {
	leave, err := l.enter(ctx, "note the copy of "+id)
	if err != nil {
		return ledger.Record{}, err
	}
	defer leave()
	at := place{id, t}
	if there, taken := l.claims[at]; !taken || there.holder == nil || !l.now().Before(there.until) {
		l.claims[at] = claim{}
	}
	return l.put(at, c), nil
}

// Fail implements ledger.Ledger.
func (l *Ledger) Fail(ctx context.Context, id string, t tier.Tier, m ledger.Message, f ledger.Failure) (ledger.Attempts, error) {
	leave, err := l.enter(ctx, "count a failure of "+id)
	if err != nil {
		return ledger.Attempts{}, err
	}
	defer leave()
	key := count{place{id, t}, m}
	c := l.counts[key]
	if c == nil {
		c = &tally{kinds: map[string]int{}, first: map[string]time.Time{}}
		l.counts[key] = c
	}
	previous, at := c.last, f.At.UTC().Round(0)
	c.failed++
	if f.Counted {
		c.counted++
	}
	if f.Kind != "" {
		if c.kinds[f.Kind]++; c.kinds[f.Kind] == 1 {
			c.first[f.Kind] = at
		}
	}
	c.last = at
	if r := l.record(id); t == tier.Primary {
		r.Retries.Primary++
	} else {
		r.Retries.Backup++
	}
	return ledger.Attempts{Failed: c.failed, Counted: c.counted, OfKind: c.kinds[f.Kind], FirstOf: c.first[f.Kind], Previous: previous}, nil
}

// Attempts implements ledger.Ledger.
func (l *Ledger) Attempts(ctx context.Context, id string, t tier.Tier, m ledger.Message, kind string) (ledger.Attempts, error) {
	leave, err := l.enter(ctx, "read the attempts of "+id)
	if err != nil {
		return ledger.Attempts{}, err
	}
	defer leave()
	c := l.counts[count{place{id, t}, m}]
	if c == nil {
		return ledger.Attempts{}, nil
	}
	return ledger.Attempts{Failed: c.failed, Counted: c.counted, OfKind: c.kinds[kind], FirstOf: c.first[kind], Previous: c.last}, nil
}

// Letter implements ledger.Ledger.
func (l *Ledger) Letter(ctx context.Context, id string, t tier.Tier, reason string) error {
	leave, err := l.enter(ctx, "note a dead letter of "+id)
	if err != nil {
		return err
	}
	defer leave()
	if reason != "" {
		l.record(id).Letters[t] = reason
		return nil
	}
	if r := l.records[id]; r != nil {
		delete(r.Letters, t)
		if len(r.Letters) == 0 && r.Primary == nil && r.Backup == nil && r.Retries == (ledger.Retries{}) {
			delete(l.records, id) // as a hash goes with its last field
		}
	}
	return nil
}

// Record implements ledger.Ledger.
func (l *Ledger) Record(ctx context.Context, id string) (ledger.Record, error) {
	leave, err := l.enter(ctx, "read the record of "+id)
	if err != nil {
		return ledger.Record{}, err
	}
	defer leave()
	r := l.records[id]
	if r == nil {
		return ledger.Record{}, ledger.ErrNoRecord
	}
	return settled(r), nil
}

// record returns the recording's record, made when it is first written to.
func (l *Ledger) record(id string) *ledger.Record {
	r := l.records[id]
	if r == nil {
		r = &ledger.Record{RecordingID: id[strings.LastIndexByte(id, '/')+1:], IdempotencyKey: id, Letters: map[tier.Tier]string{}}
		l.records[id] = r
	}
	return r
}

// put writes a copy into the record and returns the record.
func (l *Ledger) put(at place, c ledger.Copy) ledger.Record {
	r := l.record(at.id)
	stored := c.Stored
	stored.Timestamp = stored.Timestamp.UTC().Round(0)
	r.SetSide(at.tier, &stored)
	if c.RecordingID != "" {
		r.RecordingID = c.RecordingID
	}
	if r.ReceivedAt.IsZero() && !c.ReceivedAt.IsZero() {
		r.ReceivedAt = c.ReceivedAt.UTC().Round(0)
	}
	if c.SHA256 != "" {
		r.SHA256, r.Size = c.SHA256, c.Size
	}
	delete(r.Letters, at.tier)
	return settled(r)
}

// settled returns a copy of r that shares nothing with it.
func settled(r *ledger.Record) ledger.Record {
	out := *r
	out.Letters = nil
	if len(r.Letters) > 0 {
		out.Letters = maps.Clone(r.Letters)
	}
	for _, t := range tier.All() {
		if side := r.Side(t); side != nil {
			own := *side
			out.SetSide(t, &own)
		}
	}
	out.Settle()
	return out
}
