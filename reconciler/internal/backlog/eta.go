package backlog

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Pace fills in how long each tier needs to work off what waits for it, at the pace that it shows within the time span.
// It waits that long, unless nothing waits, or nobody is there who could work it off: then it is not known.
func Pace(ctx context.Context, js jetstream.JetStream, list []Tier, span time.Duration) error {
	before := make([]uint64, len(list))
	moving := false
	for i, t := range list {
		before[i] = t.unfinished()
		switch {
		case before[i] == 0:
			list[i].ETASeconds = new(float64)
		case t.Instances > 0:
			moving = true
		}
	}
	if !moving {
		return nil
	}
	begun := time.Now()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(span):
	}
	after, err := Waiting(ctx, js, time.Now())
	if err != nil {
		return err
	}
	took := time.Since(begun).Seconds()
	for i, t := range after {
		if left := t.unfinished(); list[i].ETASeconds == nil && left < before[i] {
			seconds := float64(left) / (float64(before[i]-left) / took)
			list[i].ETASeconds = &seconds
		}
	}
	return nil
}

// unfinished is how many events the tier has not done with.
func (t Tier) unfinished() uint64 { return t.Backlog + t.Backfill + uint64(max(t.InFlight, 0)) }
