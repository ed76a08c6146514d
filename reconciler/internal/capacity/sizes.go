// Package capacity says what a number of recordings a day needs, from what was measured of the programs and their servers:
// how large the streams must be, and whether a NATS server can hold them; how many programs, requests, bytes; which limit is
// hit first, and what to change then. It asks nobody but, for the room, a NATS server.
package capacity

import (
	"errors"
	"math"
	"time"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
)

// What a recording costs, in bytes and events. The sizes are of a default profile's event with two participants, five
// tags and a signed URL, rounded up.
const (
	eventBytes     = 2 << 10 // one event
	overheadBytes  = 256     // of one stored message: subject, headers, checksum
	letterBytes    = eventBytes + 512
	auditBytes     = 700 // one audit event
	auditEvents    = 3.2 // of one recording: stored in each tier, confirmed, and a share of the rest
	letterShare    = 0.01
	lettersDays    = 90
	withoutSealing = 7 * 24 * time.Hour // as long as AUDIT lasts with no reconciler running
	headroom       = 1.25
	auditHeadroom  = 2.2 // above half of its size, AUDIT gives up sealed events before their time
	smallest       = 64 << 20
	wholeMebibyte  = 1 << 20
	day            = 24 * time.Hour
)

// MostPerDay is the most recordings a day that can be planned for.
const MostPerDay = 1_000_000_000

// ErrPerDay is returned for a number of recordings that cannot be planned for.
var ErrPerDay = errors.New("want 1 to 1000000000 recordings a day")

// ForDay returns the sizes for n recordings a day: RECORDINGS keeps each event for maxAge, RECORDINGS_DLQ one in a hundred
// for 90 days, AUDIT its events for ledgerTTL and seven days without a reconciler. Head-room is included.
func ForDay(n int64, maxAge, ledgerTTL time.Duration) (queue.Sizes, error) {
	if n < 1 || n > MostPerDay {
		return queue.Sizes{}, ErrPerDay
	}
	perDay := float64(n)
	sizes := queue.Sizes{MaxAge: maxAge}
	for _, s := range []struct {
		into  *settings.Bytes
		bytes float64
	}{
		{&sizes.Recordings, perDay * (eventBytes + overheadBytes) * days(maxAge) * headroom},
		{&sizes.Letters, perDay * letterShare * (letterBytes + overheadBytes) * lettersDays * headroom},
		{&sizes.Audit, perDay * auditEvents * (auditBytes + overheadBytes) * days(ledgerTTL+withoutSealing) * auditHeadroom},
	} {
		*s.into = settings.Bytes(max(smallest, math.Ceil(s.bytes/wholeMebibyte)*wholeMebibyte))
	}
	return sizes, nil
}

func days(d time.Duration) float64 { return d.Hours() / day.Hours() }
