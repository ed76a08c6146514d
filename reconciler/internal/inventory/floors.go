package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// inHand is how long a delivered event that is not acknowledged excuses what its tier lacks.
const inHand = time.Hour

// Floors tell what the workers' consumers have not finished. They have to be read before the stores are looked at: what
// was finished before then is there. Of the zero value nothing is finished.
type Floors struct {
	stream    string // of the events: RECORDINGS, or the mirror of the peer region's
	through   uint64 // it held nothing newer before the consumers were asked
	consumers map[tier.Tier]map[queue.Lane]floor
	ended     map[tier.Tier]bitset // of the events above the lowest floor, those of which the log says how they ended
}

type floor struct {
	busy             bool   // something is pending or unacknowledged
	acked, delivered uint64 // all up to acked is acknowledged; nothing above delivered was handed out
}

// ReadFloors asks the workers' consumers how far they are.
func ReadFloors(ctx context.Context, js jetstream.JetStream) (Floors, error) {
	lanes := queue.Lanes()
	return readFloors(ctx, js, queue.Recordings, lanes[:]...)
}

// ReadPeerFloors asks the consumers by which the workers follow the peer region.
func ReadPeerFloors(ctx context.Context, js jetstream.JetStream) (Floors, error) {
	return readFloors(ctx, js, queue.PeerRecordings, queue.PeerLane)
}

func readFloors(ctx context.Context, js jetstream.JetStream, stream string, lanes ...queue.Lane) (Floors, error) {
	s, err := js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = queue.ErrNotProvisioned
	}
	if err != nil {
		return Floors{}, fmt.Errorf("stream %s: %w", stream, err)
	}
	out := Floors{stream, s.CachedInfo().State.LastSeq, map[tier.Tier]map[queue.Lane]floor{}, map[tier.Tier]bitset{}}
	for _, t := range tier.All() {
		out.consumers[t] = map[queue.Lane]floor{}
		for _, lane := range lanes {
			name := queue.ConsumerName(t, lane)
			c, err := js.Consumer(ctx, stream, name)
			if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
				err = queue.ErrNotProvisioned
			}
			if err != nil {
				return Floors{}, fmt.Errorf("consumer %s: %w", name, err)
			}
			info := c.CachedInfo()
			out.consumers[t][lane] = floor{info.NumPending > 0 || info.NumAckPending > 0, info.AckFloor.Stream, info.Delivered.Stream}
		}
	}
	return out, out.readEnded(ctx, js)
}

// Unfinished reports whether tier t has not acknowledged the event of that sequence and subject, as far as is known: what
// came after the floors were read is unfinished.
func (f Floors) Unfinished(t tier.Tier, subject string, seq uint64) bool {
	at, takes := f.of(t, subject)
	return takes && seq > f.done(at) && !f.ended[t].has(seq)
}

// done is the sequence up to which a consumer has acknowledged all that it takes. Of one that had nothing left, that is all
// that the stream held before it was asked.
func (f Floors) done(at floor) uint64 {
	if at.busy {
		return at.acked
	}
	return max(at.acked, f.through)
}

// Open reports whether the event excuses what tier t lacks: it was never handed out, or is in hand since less than an hour.
func (f Floors) Open(t tier.Tier, subject string, seq uint64, age time.Duration) bool {
	at, _ := f.of(t, subject)
	return f.Unfinished(t, subject, seq) && (seq > at.delivered || age < inHand)
}

// of returns the floor of the consumer by which tier t takes events of that subject; false where it takes none.
func (f Floors) of(t tier.Tier, subject string) (floor, bool) {
	if f.peers() {
		at, found := f.consumers[t][queue.PeerLane]
		return at, found && subject != queue.RedriveSubject(t.Sibling())
	}
	switch subject {
	case queue.CompletedSubject(queue.Both), queue.CompletedSubject(queue.Route(t)), queue.RedriveSubject(t):
		return f.consumers[t][queue.Live], true
	case queue.CompletedSubject(queue.Route(t.Sibling())):
		return f.consumers[t][queue.Backfill], true
	}
	return floor{}, false
}

// Lowest is the sequence up to which all consumers have acknowledged everything, at most last, up to which somebody read.
func (f Floors) Lowest(last uint64) uint64 {
	for _, t := range tier.All() {
		if len(f.consumers[t]) == 0 {
			return 0 // nobody has been asked
		}
		for _, at := range f.consumers[t] {
			last = min(last, f.done(at))
		}
	}
	return last
}

// peers says that they are of the peer region's events.
func (f Floors) peers() bool { return f.stream == queue.PeerRecordings }

// source is the stream of the events.
func (f Floors) source() string { return cmp.Or(f.stream, queue.Recordings) }
