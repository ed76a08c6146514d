// Package letters reads, groups and replays dead letters: the events that a tier gave up, in the stream RECORDINGS_DLQ.
//
// Several letters of one tier and recording count as one, of which the newest is shown, because they are several tries
// of the same trouble. A letter of reason digest_conflict contradicts what both tiers agreed to store: it always counts
// for itself. So does a letter without a readable recording ID.
package letters

import (
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// Letter is one dead letter without its body, in the shape that every list shows. IDs are empty where the body tells none.
type Letter struct {
	Tier           tier.Tier    `json:"tier"`
	Sequence       uint64       `json:"sequence"` // in RECORDINGS_DLQ
	RecordingID    string       `json:"recordingId"`
	IdempotencyKey string       `json:"idempotencyKey"`
	Reason         queue.Reason `json:"reason"`
	Error          string       `json:"error"`
	Attempts       int          `json:"attempts"`
	DeadAt         time.Time    `json:"deadAt"` // UTC

	// ObjectKey is the media's key, "" if the body is no event that this program can read.
	ObjectKey string `json:"-"`
	// Source is the recording's source, "" if the body tells none.
	Source string `json:"-"`
	// EventID is the event's CloudEvents id, by which events of one recording are told apart; "" if the body is no event
	// that this program can read.
	EventID string `json:"-"`
}

// message is a message of RECORDINGS_DLQ, however it was read.
type message struct {
	subject  string
	sequence uint64
	stored   time.Time
	header   nats.Header
	body     []byte
}

// Open returns the letter in a message of RECORDINGS_DLQ, and its full form. The error is that of reading its event.
func Open(m scan.Message) (Letter, queue.Letter, error) {
	return open(message{m.Subject, m.Sequence, m.Stored, m.Header, m.Body})
}

// open returns the letter in m, its full form, and the error of reading its event. A letter with broken headers is
// a letter all the same: what cannot be read stays zero, but DeadAt is then when the stream took it.
func open(m message) (Letter, queue.Letter, error) {
	q, err := queue.ParseLetter(m.subject, m.sequence, m.header, m.body)
	if err != nil && q.DeadAt.IsZero() {
		q.DeadAt = m.stored
	}
	q.Error, q.Reason = fault.Clean(q.Error), queue.Reason(fault.Clean(string(q.Reason)))
	l := Letter{
		Tier: q.Tier, Sequence: q.Sequence, Reason: q.Reason, Error: q.Error, Attempts: q.Attempts, DeadAt: q.DeadAt.UTC(),
	}
	e, err := event.Parse(m.body)
	if err != nil {
		l.Source, l.RecordingID, l.IdempotencyKey = guessIDs(m.body)
		return l, q, err
	}
	l.Source, l.RecordingID, l.IdempotencyKey, l.EventID = e.Data.Source, e.Data.RecordingID, e.Data.IdempotencyKey, e.ID
	l.ObjectKey = e.Data.ObjectKey
	return l, q, nil
}

// guessIDs finds the recording's names in bytes that are no event which this program can read, so that an operator can
// find the letter. Only a well-formed key is taken.
func guessIDs(body []byte) (source, recordingID, key string) {
	var e struct {
		Data struct {
			Key string `json:"idempotencyKey"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &e) != nil {
		return "", "", ""
	}
	source, recordingID, err := event.SplitKey(e.Data.Key)
	if err != nil {
		return "", "", ""
	}
	return source, recordingID, e.Data.Key
}
