// Package backlog tells how far each tier is behind: what waits, what is in hand, what was given up.
package backlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
)

// Tier is one tier's state as JetStream knows it.
type Tier struct {
	Tier          tier.Tier  `json:"tier"`
	State         string     `json:"state"`         // healthy, degraded, parked, as most of its workers say; paused; unknown while no worker tells
	Weight        float64    `json:"weight"`        // share of new events that are routed to it live; 1 while no worker tells
	Since         *time.Time `json:"since"`         // of the state
	Reason        string     `json:"reason"`        // of the state
	Breaker       string     `json:"breaker"`       // closed, half-open, open; "" where it is not known
	Backlog       uint64     `json:"backlog"`       // events that wait to be delivered live for the first time
	Backfill      uint64     `json:"backfill"`      // events that were routed to the sibling alone, and wait
	Peer          uint64     `json:"-"`             // events of the other region that have not been looked at here; young ones are left to it
	InFlight      int        `json:"inFlight"`      // delivered and not yet acknowledged: in a worker's hand, or waiting to be delivered again
	Redelivering  int        `json:"redelivering"`  // those of them that were delivered more than once
	OldestSeconds float64    `json:"oldestSeconds"` // age of the oldest unfinished event, 0 if there is none
	ETASeconds    *float64   `json:"etaSeconds"`    // until the backlog is worked off; null while unknown
	DeadLetters   int        `json:"deadLetters"`   // recordings with an open letter, as `dlq list` counts them
	Instances     int        `json:"instances"`     // live workers that tell of the tier
}

// Read returns the state of both tiers, primary first. What workers and operators say comes from standings.
func Read(ctx context.Context, js jetstream.JetStream, standings queue.Standings, now time.Time) ([]Tier, error) {
	out, err := Waiting(ctx, js, now)
	if err != nil {
		return nil, err
	}
	groups, err := letters.Read(ctx, js)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].stand(standings[out[i].Tier])
		out[i].DeadLetters = len(letters.Filter{Tier: out[i].Tier}.Choose(groups))
	}
	return out, nil
}

// Waiting returns what waits for each tier, primary first, and nothing else of it.
func Waiting(ctx context.Context, js jetstream.JetStream, now time.Time) ([]Tier, error) {
	stream, err := js.Stream(ctx, queue.Recordings)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("stream %s: %w", queue.Recordings, queue.ErrNotProvisioned)
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", queue.Recordings, err)
	}
	var out []Tier
	for _, t := range tier.All() {
		one := Tier{Tier: t}
		for _, lane := range queue.Lanes() {
			if err := one.add(ctx, stream, lane, now); err != nil {
				return nil, err
			}
		}
		out = append(out, one)
	}
	return out, nil
}

// add takes in one of the tier's two consumers.
func (t *Tier) add(ctx context.Context, stream jetstream.Stream, lane queue.Lane, now time.Time) error {
	name := queue.ConsumerName(t.Tier, lane)
	consumer, err := stream.Consumer(ctx, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("consumer %s: %w", name, queue.ErrNotProvisioned)
	}
	if err != nil {
		return fmt.Errorf("consumer %s: %w", name, err)
	}
	info := consumer.CachedInfo()
	if lane == queue.Live {
		t.Backlog += info.NumPending
	} else {
		t.Backfill += info.NumPending
	}
	t.InFlight += info.NumAckPending
	t.Redelivering += info.NumRedelivered
	if info.NumPending == 0 && info.NumAckPending == 0 {
		return nil
	}
	stored, err := oldest(ctx, stream, info)
	if err != nil {
		return fmt.Errorf("oldest unfinished event of consumer %s: %w", name, err)
	}
	if !stored.IsZero() {
		t.OldestSeconds = max(t.OldestSeconds, now.Sub(stored).Round(time.Millisecond).Seconds())
	}
	return nil
}

// oldest returns when the first message of the consumer's subjects above its ack floor was stored, zero if there is none:
// everything below is acknowledged.
func oldest(ctx context.Context, stream jetstream.Stream, info *jetstream.ConsumerInfo) (time.Time, error) {
	var first time.Time
	subjects := info.Config.FilterSubjects
	if one := info.Config.FilterSubject; one != "" { // how a server may keep a list of one
		subjects = []string{one}
	}
	for _, subject := range subjects {
		m, err := stream.GetMsg(ctx, info.AckFloor.Stream+1, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return first, err
		}
		if first.IsZero() || m.Time.Before(first) {
			first = m.Time
		}
	}
	return first, nil
}
