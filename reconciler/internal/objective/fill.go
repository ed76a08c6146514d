package objective

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
)

// Fill is how soon a stream is full.
type Fill struct {
	Stream      string   `json:"stream"`
	Bytes       int64    `json:"bytes"`
	MaxBytes    int64    `json:"maxBytes"`
	BytesPerDay float64  `json:"bytesPerDay"` // that come in, at the present rate
	DaysToFull  *float64 `json:"daysToFull"`  // nil: never, at that rate: it has no bound, or what it holds leaves by age before
}

// recent is over how much of a stream the present rate is taken, where it holds as much.
const recent = 24 * time.Hour

// fillOf computes it from a stream's state. received is how many of its messages came since a time not later than now.
func fillOf(info *jetstream.StreamInfo, received uint64, since, now time.Time) Fill {
	s := info.State
	f := Fill{Stream: info.Config.Name, Bytes: int64(s.Bytes), MaxBytes: info.Config.MaxBytes}
	span := now.Sub(since)
	if s.Msgs == 0 || span <= 0 || received == 0 {
		return f
	}
	const day = 24 * time.Hour
	each := float64(s.Bytes) / float64(s.Msgs)
	f.BytesPerDay = each * float64(received) * float64(day) / float64(span)
	keeps := info.Config.MaxAge
	switch {
	case f.MaxBytes <= 0:
	case keeps > 0 && f.BytesPerDay*float64(keeps)/float64(day) <= float64(f.MaxBytes):
	default:
		days := max(0, float64(f.MaxBytes)-float64(s.Bytes)) / f.BytesPerDay
		f.DaysToFull = &days
	}
	return f
}

// fills asks how full the streams are, and how fast they fill: by what came in the last day, or, of a stream that is younger,
// since it began, at least an hour ago.
func fills(ctx context.Context, js jetstream.JetStream, now time.Time) ([]Fill, error) {
	var out []Fill
	for _, name := range []string{queue.Recordings, queue.DeadLetters, queue.Audit} {
		s, err := js.Stream(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("look at stream %s: %w", name, err)
		}
		info := s.CachedInfo()
		since := now.Add(-recent)
		received := info.State.LastSeq
		if info.State.FirstTime.Before(since) && info.State.Msgs > 0 {
			seq, err := firstSince(ctx, s, since)
			if err != nil {
				return nil, fmt.Errorf("look at stream %s: %w", name, err)
			}
			received = info.State.LastSeq - min(seq-1, info.State.LastSeq)
		} else {
			received -= min(info.State.FirstSeq-1, received)
			since = info.State.FirstTime
			if least := now.Add(-time.Hour); since.After(least) {
				since = least // a burst at the beginning is no rate
			}
		}
		out = append(out, fillOf(info, received, since, now))
	}
	return out, nil
}

// firstSince returns the sequence of the first message at that time or later, by halves; one beyond the last where there is
// none. Sequences that are gone are passed over.
func firstSince(ctx context.Context, s jetstream.Stream, at time.Time) (uint64, error) {
	state := s.CachedInfo().State
	low, high := state.FirstSeq, state.LastSeq+1
	for low < high {
		middle := low + (high-low)/2
		m, err := s.GetMsg(ctx, middle, jetstream.WithGetMsgSubject(">"))
		switch {
		case err == nil && m.Sequence < high && m.Time.Before(at):
			low = m.Sequence + 1
		case err == nil || isGone(err):
			high = middle
		default:
			return 0, err
		}
	}
	return low, nil
}
