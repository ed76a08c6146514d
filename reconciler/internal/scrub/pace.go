package scrub

import (
	"context"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// piece is how many bytes are read at a stretch, each by a request of its own: between two of them may lie hours, which no
// open answer would survive.
const piece = 8 << 20

// warnEvery is how often it is said that the budget does not do.
const warnEvery = 24 * time.Hour

// admit waits until the tier's next n bytes are due: of a turn that takes the period, or as long as the budget needs. A
// tier that is not well waits.
func (s *Scrubber) admit(ctx context.Context, l *lane, n int) error {
	for {
		s.weigh(ctx, l)
		now := time.Now()
		limit := rate.Limit(s.rate(l, now))
		l.pace.SetLimitAt(now, limit)
		if limit > 0 && l.pace.AllowN(now, n) {
			return s.budget.WaitN(ctx, n)
		}
		wait := look
		if limit > 0 {
			missing := float64(n) - l.pace.TokensAt(now)
			wait = time.Duration(min(missing/float64(limit), look.Seconds())*float64(time.Second)) + time.Millisecond
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// weigh asks now and then how well the tier is.
func (s *Scrubber) weigh(ctx context.Context, l *lane) {
	s.mu.Lock()
	due := time.Since(l.weighed) >= look
	s.mu.Unlock()
	if s.Weight == nil || !due {
		return
	}
	w := s.Weight(ctx, l.tier)
	s.mu.Lock()
	l.weight, l.weighed = min(max(w, 0), 1), time.Now()
	s.mu.Unlock()
}

// rate is how many bytes of the tier are read in a second: as many as end the turn in time, less where that is more than
// the tier's share of the budget.
func (s *Scrubber) rate(l *lane, now time.Time) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	need, sum := 0.0, 0.0
	for _, one := range s.lanes {
		n := s.need(one, now)
		if sum += n; one == l {
			need = n
		}
	}
	if budget := float64(s.budget.Limit()); sum > budget {
		need *= budget / sum
	}
	return need * l.weight
}

// need is how many bytes of the tier have to be read in a second: all in a period, and what is behind in the time that is
// left. The lock is held.
func (s *Scrubber) need(l *lane, now time.Time) float64 {
	left := max(l.mark.Started.Add(s.Period).Sub(now), s.Period/100)
	return max(float64(l.size.Bytes)/s.Period.Seconds(), float64(l.size.Bytes-l.mark.Bytes)/left.Seconds())
}

// plan tells how long a turn takes, and says once a day that it takes too long.
func (s *Scrubber) plan() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var bytes int64
	for _, l := range s.lanes {
		if l.size.At.IsZero() {
			return // not known yet
		}
		bytes += l.size.Bytes
	}
	projected := turnTime(bytes, s.Budget, s.Period)
	s.Metrics.projected.WithLabelValues().Set(projected.Seconds())
	if projected <= s.Period || time.Since(s.warned) < warnEvery {
		return
	}
	s.warned = time.Now()
	s.Log.Warn("reading back everything once takes longer than TWINREEL_SCRUB_PERIOD: raise it, or TWINREEL_SCRUB_BYTES_PER_HOUR",
		zap.Int64("bytes", bytes), zap.Duration("projected", projected), zap.Duration("period", s.Period))
}

// turnTime is how long a turn over that many bytes takes: the period, or longer where the hourly budget does not do. 0
// where there is nothing.
func turnTime(bytes, budget int64, period time.Duration) time.Duration {
	if bytes == 0 {
		return 0
	}
	hours := float64(bytes) / float64(budget)
	return max(period, time.Duration(min(hours*float64(time.Hour), float64(1<<62))))
}
