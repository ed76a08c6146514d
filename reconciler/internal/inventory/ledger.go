package inventory

import (
	"context"
	"encoding/json"
	"iter"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
	"github.com/twinreel/twinreel/reconciler/internal/spool"
)

// Ledger is the third list: the keys that must be in both stores, of what was acknowledged to the platforms.
type Ledger struct {
	keys *spool.Sorter
	// Events is how many events are in it, Unreadable how many are not, being no events. Through and PeerThrough are the
	// sequences up to which RECORDINGS and the mirror of the peer region's are in it.
	Events, Unreadable   int
	Through, PeerThrough uint64
}

// NewLedger returns an empty ledger, whose temporary files are in dir ("": the system's own place).
func NewLedger(dir string) *Ledger { return &Ledger{keys: spool.New(dir, spool.Memory)} }

// Close gives up its files.
func (l *Ledger) Close() error { return l.keys.Close() }

// Add notes what must be there of a recording: its media and its sidecar.
func (l *Ledger) Add(e Entry) error {
	b := e.encode()
	if e.ObjectKey != "" { // of an erasure it is not always known
		if err := l.keys.Add(e.ObjectKey, b); err != nil {
			return err
		}
	}
	return l.keys.Add(event.SidecarKey(e.IdempotencyKey), b)
}

// ReadStream adds the events of RECORDINGS, or of the mirror of the peer region's, as the floors of before tell them.
func (l *Ledger) ReadStream(ctx context.Context, js jetstream.JetStream, r scan.Range, f Floors, now time.Time) error {
	through := &l.Through
	if f.peers() {
		through = &l.PeerThrough
	}
	return scan.Stream(ctx, js, f.source(), r, func(m scan.Message) error {
		*through = max(*through, m.Sequence)
		e, ok := Read(m, f, now)
		if !ok {
			l.Unreadable++
			return nil
		}
		l.Events++
		return l.Add(e)
	})
}

// Read returns what one event of RECORDINGS, or of the mirror of the peer region's, says, read loosely: one of a newer version
// says as much. ok is false for what is no event.
func Read(m scan.Message, f Floors, now time.Time) (e Entry, ok bool) {
	var body struct {
		Data struct {
			Key        string    `json:"idempotencyKey"`
			ObjectKey  string    `json:"objectKey"`
			ReceivedAt time.Time `json:"receivedAt"`
		} `json:"data"`
	}
	if json.Unmarshal(m.Body, &body) != nil || body.Data.Key == "" || body.Data.ObjectKey == "" {
		return Entry{}, false
	}
	e = Entry{IdempotencyKey: body.Data.Key, ObjectKey: body.Data.ObjectKey, First: m.Stored, Newest: m.Stored}
	if at := body.Data.ReceivedAt; !at.IsZero() && at.Before(e.First) {
		e.First = at
	}
	redrive := strings.HasPrefix(m.Subject, "recordings.redrive.")
	switch {
	case redrive:
		e.Newest = e.First // sent again is not accepted again
	case f.peers():
		e.Peer = m.Sequence
	default:
		e.Sequence = m.Sequence
	}
	for _, t := range tier.All() {
		hands := e.In(t)
		// What was sent again excuses nothing: it was missing, and is until it is there.
		hands.Open = !redrive && f.Open(t, m.Subject, m.Sequence, now.Sub(m.Stored))
		if f.peers() {
			hands.Followed = f.Unfinished(t, m.Subject, m.Sequence)
			continue
		}
		if m.Subject == queue.RedriveSubject(t) {
			hands.Sent = m.Sequence
		}
		if f.Unfinished(t, m.Subject, m.Sequence) {
			hands.Redrive = m.Sequence
		}
	}
	return e, true
}

// Expected is a key that must be in both stores.
type Expected struct {
	Key   string
	Entry Entry // of the recording
}

// Len returns how many keys it has, those of several events counted as often.
func (l *Ledger) Len() int { return l.keys.Len() }

// Pages yields the expected keys in ascending order, each once.
func (l *Ledger) Pages() iter.Seq2[[]Expected, error] {
	return func(yield func([]Expected, error) bool) {
		page := make([]Expected, 0, pageSize)
		for records, err := range l.keys.Pages() {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, r := range records {
				e, err := decode(r.Value)
				if err != nil {
					yield(nil, err)
					return
				}
				if last := len(page) - 1; last >= 0 && page[last].Key == r.Key {
					page[last].Entry.Add(e)
					continue
				}
				if len(page) == pageSize { // the last stays, until the next is another
					if !yield(page[:pageSize-1], nil) {
						return
					}
					page = append(page[:0], page[pageSize-1])
				}
				page = append(page, Expected{r.Key, e})
			}
		}
		if len(page) > 0 {
			yield(page, nil)
		}
	}
}

// Bounds returns up to n keys that part the ledger into runs of about the same length.
func (l *Ledger) Bounds(n int) ([]string, error) {
	var out []string
	every, at := l.Len()/(n+1), 0
	if every == 0 {
		return nil, nil
	}
	for r, err := range l.keys.All() {
		if err != nil {
			return nil, err
		}
		if at++; at%every == 0 && len(out) < n && (len(out) == 0 || out[len(out)-1] != r.Key) {
			out = append(out, r.Key)
		}
	}
	return out, nil
}
