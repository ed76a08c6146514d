package scrub

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/objstore"
)

// Where the media are in a store: above mediaAfter, up to mediaThrough.
const (
	mediaFolder  = "recordings/"
	mediaThrough = "recordings0" // the key that would follow the folder
)

const (
	pageSize = 1000      // versions that are listed at a time
	pageLife = time.Hour // an older page lacks what was stored since: it is listed anew from where the turn is
)

// turn goes on with the tier's turn to its end, and then waits until the next is due. An error says that ctx has ended.
func (s *Scrubber) turn(ctx context.Context, l *lane) error {
	for more := !s.mark(l).Whole(); more; {
		page, err := s.page(ctx, l, s.mark(l).After)
		if err != nil {
			return err
		}
		for _, info := range page.infos {
			v, err := s.copy(ctx, l, info)
			if err != nil {
				return err
			}
			s.advance(l, info.Key, v)
			if err := s.relieve(ctx, l); err != nil {
				return err
			}
			if page.stale() {
				break
			}
		}
		if !page.stale() {
			s.advance(l, page.last, "")
			more = page.more
		}
	}
	s.finish(ctx, l)
	for { // by looks, since the wait may be a month
		wait := time.Until(s.mark(l).Started.Add(s.Period))
		if wait <= 0 {
			break
		}
		if err := sleep(ctx, min(wait, look)); err != nil {
			return err
		}
	}
	s.begin(l)
	return nil
}

// begin begins a new turn.
func (s *Scrubber) begin(l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.mark, l.changed = Mark{Started: time.Now(), After: mediaFolder, Verdicts: map[Verdict]int64{}}, true
	s.Metrics.progress(l.tier, 0)
}

// advance notes that all media up to key are done with; the last of them with a verdict, if it is not "".
func (s *Scrubber) advance(l *lane, key string, v Verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key > l.mark.After {
		l.mark.After, l.changed = key, true
	}
	if v != "" {
		l.mark.Verdicts[v]++
		s.Metrics.objects.WithLabelValues(l.tier.String(), string(v)).Inc()
	}
	if l.size.Bytes > 0 {
		s.Metrics.progress(l.tier, min(1, float64(l.mark.Bytes)/float64(l.size.Bytes)))
	}
}

// finish ends a turn, and says what came of it.
func (s *Scrubber) finish(ctx context.Context, l *lane) {
	s.mu.Lock()
	whole := l.mark.Whole()
	l.mark.After, l.changed = "", l.changed || !whole
	m := l.mark.clone()
	s.mu.Unlock()
	s.Metrics.progress(l.tier, 1)
	if whole {
		return // said before a restart
	}
	s.Log.Info("a turn of reading back is done", zap.String("tier", l.tier.String()), zap.Duration("took", time.Since(m.Started)),
		zap.Int64("bytes", m.Bytes), zap.Any("verdicts", m.Verdicts))
	s.save(ctx, l)
}

// mark returns where the tier's turn is.
func (s *Scrubber) mark(l *lane) Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.mark.clone()
}

// page is a part of a tier's listing.
type page struct {
	infos []objstore.Info // visible media
	last  string          // the key that was listed last
	more  bool            // than this
	at    time.Time       // when it was listed
}

func (p page) stale() bool { return len(p.infos) > 0 && time.Since(p.at) >= pageLife }

// page lists what follows a key.
func (s *Scrubber) page(ctx context.Context, l *lane, after string) (page, error) {
	var out page
	err := s.persist(ctx, l, always, func(ctx context.Context) error {
		out = page{last: after, at: time.Now()}
		n := 0
		for info, err := range l.store.ListRange(ctx, after, mediaThrough) {
			switch {
			case err != nil:
				return err
			case n >= pageSize: // what is left of the last key is older versions
				out.more = true
				return nil
			}
			n, out.last = n+1, info.Key
			if info.Latest && info.Key != mediaThrough {
				out.infos = append(out.infos, info)
			}
		}
		return nil
	})
	return out, err
}

// Size is how much there is of a tier's media, and when it was listed.
type Size struct {
	Bytes, Keys int64
	At          time.Time
}

// again is when the size is due to be listed again: soon where that costs little, after a week at the latest.
func (z Size) again() time.Time {
	return z.At.Add(min(max(time.Hour, time.Duration(z.Keys/pageSize)*time.Minute), 7*24*time.Hour))
}

// keepMeasuring lists, now and then, how much there is.
func (s *Scrubber) keepMeasuring(ctx context.Context, l *lane) {
	for err := error(nil); err == nil; err = s.measure(ctx, l) {
		s.plan()
		s.mu.Lock()
		again := l.size.again()
		s.mu.Unlock()
		if sleep(ctx, time.Until(again)) != nil {
			return
		}
	}
}

// measure lists how much there is. An error says that ctx has ended.
func (s *Scrubber) measure(ctx context.Context, l *lane) error {
	size := Size{At: time.Now()}
	for p := (page{last: mediaFolder, more: true}); p.more; {
		var err error
		if p, err = s.page(ctx, l, p.last); err != nil {
			return err
		}
		for _, info := range p.infos {
			size.Bytes, size.Keys = size.Bytes+info.Size, size.Keys+1
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.size = size
	return nil
}
