// Package history tells what is known of one recording: its record, and what happened when.
package history

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// Message is a message of RECORDINGS.
type Message = scan.Message

// Newest is how many of the newest events of RECORDINGS are searched for a recording that Redis does not know.
const Newest = 10_000

// ErrUnknown is returned for a recording that nobody knows.
var ErrUnknown = errors.New("unknown")

// Recording is a record with its open dead letters and its timeline.
type Recording struct {
	ledger.Record
	// Open are the open dead letters, as every list shows them, oldest first. A recording that both tiers hold may have some: one
	// that contradicts what is agreed stays until it is discarded. Nil where they could not be asked for.
	Open     []letters.Letter `json:"letters"`
	Timeline []Entry          `json:"timeline"` // in order of time, then what has none; never nil
}

// Entry is one thing that happened to a recording.
type Entry struct {
	At   *time.Time `json:"at"`   // UTC; null where only the fact is known
	Tier string     `json:"tier"` // a tier's name, or "all"
	What string     `json:"what"`

	id   string          // of the audit event that it is
	kind event.AuditKind // what the audit log would call it, "" for nothing
}

// FromRecord returns a record of the ledger with the timeline that follows from it.
func FromRecord(r ledger.Record) Recording {
	out := Recording{Record: r, Timeline: []Entry{}}
	if !r.ReceivedAt.IsZero() {
		out.add(r.ReceivedAt, event.AuditAll, "received")
	}
	for _, t := range tier.All() {
		if s := r.Side(t); s != nil {
			out.tell(event.AuditStored, s.Timestamp, t.String(), "stored")
		}
		if n := retries(r, t); n > 0 {
			out.add(time.Time{}, t.String(), fmt.Sprintf("handed back for a failure, %d in all", n))
		}
		if reason := r.Letters[t]; reason != "" {
			out.tell(event.AuditDead, time.Time{}, t.String(), "dead letter: "+fault.Clean(reason))
		}
	}
	out.sort()
	return out
}

func retries(r ledger.Record, t tier.Tier) int {
	if t == tier.Primary {
		return r.Retries.Primary
	}
	return r.Retries.Backup
}

// FromStream puts the record of a recording together from the newest events of RECORDINGS: pending, because the stream
// alone tells nothing of copies. ErrUnknown.
func FromStream(ctx context.Context, js jetstream.JetStream, key string) (Recording, error) {
	stream, err := js.Stream(ctx, queue.Recordings)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return Recording{}, fmt.Errorf("stream %s: %w", queue.Recordings, queue.ErrNotProvisioned)
	}
	if err != nil {
		return Recording{}, fmt.Errorf("stream %s: %w", queue.Recordings, err)
	}
	var from uint64
	if last := stream.CachedInfo().State.LastSeq; last > Newest {
		from = last - Newest + 1
	}
	out := Recording{Timeline: []Entry{}}
	err = scan.Stream(ctx, js, queue.Recordings, scan.Range{From: from}, func(m scan.Message) error {
		out.take(key, m)
		return nil
	})
	if err != nil {
		return Recording{}, err
	}
	if out.IdempotencyKey == "" {
		return Recording{}, fmt.Errorf("%w: not among the newest %d events of %s", ErrUnknown, Newest, queue.Recordings)
	}
	out.Settle()
	out.sort()
	return out, nil
}

// take adds what one message tells of the recording.
func (r *Recording) take(key string, m scan.Message) {
	var e struct { // read loosely: an event of a newer version tells as much as is needed
		Data struct {
			Key        string    `json:"idempotencyKey"`
			ReceivedAt time.Time `json:"receivedAt"`
			Reason     string    `json:"reason"`
			Media      struct {
				Size   int64  `json:"size"`
				SHA256 string `json:"sha256"`
			} `json:"media"`
		} `json:"data"`
	}
	if json.Unmarshal(m.Body, &e) != nil || e.Data.Key != key {
		return
	}
	_, id, err := event.SplitKey(key)
	if err != nil {
		return
	}
	r.IdempotencyKey, r.RecordingID = key, id
	r.SHA256, r.Size = cmp.Or(r.SHA256, fault.Clean(e.Data.Media.SHA256)), cmp.Or(r.Size, e.Data.Media.Size)
	for _, t := range tier.All() {
		if m.Subject == queue.RedriveSubject(t) {
			r.tell(event.AuditRedriven, m.Stored, t.String(), "sent again: "+fault.Clean(e.Data.Reason))
			return
		}
	}
	r.add(cmp.Or(e.Data.ReceivedAt, m.Stored), event.AuditAll, "received")
}

func (r *Recording) add(at time.Time, t, what string) { r.tell("", at, t, what) }

// tell adds an entry of which the audit log may have one as well.
func (r *Recording) tell(kind event.AuditKind, at time.Time, t, what string) {
	e := Entry{Tier: t, What: what, kind: kind}
	if !at.IsZero() {
		at = at.UTC()
		e.At = &at
	}
	r.Timeline = append(r.Timeline, e)
}

// sort puts entries without a time last.
func (r *Recording) sort() {
	slices.SortStableFunc(r.Timeline, func(a, b Entry) int {
		switch {
		case a.At == nil && b.At == nil:
			return 0
		case a.At == nil:
			return 1
		case b.At == nil:
			return -1
		}
		return a.At.Compare(*b.At)
	})
}
