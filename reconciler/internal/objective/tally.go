package objective

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twinreel/twinreel/pkg/tier"
)

// waiting is a recording that is not judged yet.
type waiting struct {
	copies
	acked time.Time // zero: only a copy of it was seen so far
}

// missed is a recording that was judged to have missed it. What comes to be known later can acquit it.
type missed struct {
	copies
	acked time.Time
}

// count is that of an hour or a day.
type count struct{ recordings, missed int }

// Tally counts. It is safe for concurrent use.
type Tally struct {
	mu        sync.Mutex
	since     time.Time
	open      map[string]*waiting
	queue     []queued // in the order in which they were first heard of
	missed    map[string]*missed
	oldest    []string // keys of missed, oldest first; some may be gone from it
	unlisted  int
	notJudged int
	hours     map[time.Time]*count
	days      map[time.Time]*count
	now       time.Time // the latest time that was judged to
}

type queued struct {
	key string
	at  time.Time
}

// NewTally returns a Tally of what is acknowledged at since or later.
func NewTally(since time.Time) *Tally {
	return &Tally{since: since, open: map[string]*waiting{}, missed: map[string]*missed{}, hours: map[time.Time]*count{}, days: map[time.Time]*count{}}
}

// Acknowledged notes that a webhook of a recording was answered 200. Another one of the same recording before it is judged
// counts as the same; a later one counts anew.
func (t *Tally) Acknowledged(key string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at.Before(t.since) {
		return
	}
	if w := t.find(key, at); w != nil && w.acked.IsZero() {
		w.acked = at
	}
}

// Verified notes that a tier's copy was verified, or, with verified false, is there without a checksum to verify it by.
func (t *Tally) Verified(key string, of tier.Tier, at time.Time, verified bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m := t.missed[key]; m != nil && t.open[key] == nil {
		m.note(of, at, verified)
		if m.inTime(m.acked) { // it was only told late
			delete(t.missed, key)
			t.count(m.acked, 0, -1)
		}
		return
	}
	if at.Before(t.since) {
		return
	}
	if w := t.find(key, at); w != nil {
		w.note(of, at, verified)
	}
}

// note keeps the first time at which the copy was verified.
func (c *copies) note(of tier.Tier, at time.Time, verified bool) {
	i := index(of)
	switch {
	case !verified:
		c.unverified[i] = true
	case c.verified[i].IsZero() || at.Before(c.verified[i]):
		c.verified[i] = at
	}
}

// find returns the recording, a new one where it was not heard of; nil where there are too many.
func (t *Tally) find(key string, at time.Time) *waiting {
	if w, ok := t.open[key]; ok {
		return w
	}
	if len(t.open) >= maxOpen {
		t.notJudged++
		return nil
	}
	w := &waiting{}
	t.open[key] = w
	t.queue = append(t.queue, queued{key, at})
	return w
}

// Judge judges all whose time was over at until, when everything up to then is known.
func (t *Tally) Judge(until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for ; n < len(t.queue); n++ {
		q := t.queue[n]
		w := t.open[q.key]
		at := q.at
		if w.acked.After(at) {
			at = w.acked
		}
		if at.Add(Limit).After(until) {
			break
		}
		delete(t.open, q.key)
		if !w.acked.IsZero() { // else a copy made later than all this: a repair, an older recording's
			t.judge(q.key, w)
		}
	}
	t.queue = slices.Delete(t.queue, 0, n)
	if until.After(t.now) {
		t.now = until
	}
	t.prune()
}

func (t *Tally) judge(key string, w *waiting) {
	if w.inTime(w.acked) {
		t.count(w.acked, 1, 0)
		return
	}
	t.count(w.acked, 1, 1)
	t.missed[key] = &missed{w.copies, w.acked}
	t.oldest = append(t.oldest, key)
	for len(t.oldest) > maxMissed {
		if _, there := t.missed[t.oldest[0]]; there {
			delete(t.missed, t.oldest[0])
			t.unlisted++
		}
		t.oldest = t.oldest[1:]
	}
}

// count adds to the hour and the day of an acknowledgement.
func (t *Tally) count(acked time.Time, recordings, missed int) {
	for _, in := range []struct {
		spans map[time.Time]*count
		from  time.Time
	}{{t.hours, acked.UTC().Truncate(time.Hour)}, {t.days, acked.UTC().Truncate(24 * time.Hour)}} {
		c := in.spans[in.from]
		if c == nil {
			c = &count{}
			in.spans[in.from] = c
		}
		c.recordings += recordings
		c.missed += missed
	}
}

// prune forgets what is too old to be told.
func (t *Tally) prune() {
	maps.DeleteFunc(t.hours, func(from time.Time, _ *count) bool { return from.Before(t.now.Add(-keepHours)) })
	maps.DeleteFunc(t.days, func(from time.Time, _ *count) bool { return from.Before(t.now.Add(-keepDays)) })
	for len(t.oldest) > 0 {
		m, there := t.missed[t.oldest[0]]
		if there && !m.acked.Before(t.now.Add(-keepDays)) {
			break
		}
		delete(t.missed, t.oldest[0])
		t.oldest = t.oldest[1:]
	}
}

// Report returns what is known, but for the streams.
func (t *Tally) Report() Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := Report{
		Goal: Goal, LimitSeconds: Limit.Seconds(), Since: t.since.UTC(), NotJudged: t.notJudged, Days: spans(t.days), Hours: spans(t.hours),
		Missed: []Miss{}, MissedUnlisted: t.unlisted,
	}
	for _, w := range t.open {
		if !w.acked.IsZero() {
			r.Waiting++
		}
	}
	for key, m := range t.missed {
		r.Missed = append(r.Missed, m.miss(key, m.acked))
	}
	slices.SortFunc(r.Missed, func(a, b Miss) int {
		return cmp.Or(b.AcknowledgedAt.Compare(a.AcknowledgedAt), cmp.Compare(a.IdempotencyKey, b.IdempotencyKey))
	})
	return r
}

// spans lists counts, newest first.
func spans(of map[time.Time]*count) []Span {
	out := make([]Span, 0, len(of))
	for from, c := range of {
		s := Span{From: from, Recordings: c.recordings, Missed: c.missed, Share: 1}
		if c.recordings > 0 {
			s.Share = float64(c.recordings-c.missed) / float64(c.recordings)
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Span) int { return b.From.Compare(a.From) })
	return out
}
