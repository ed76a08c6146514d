package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/tier"
)

// Reason says why a tier gave up an event.
type Reason string

// The reasons.
const (
	SourceGone        Reason = "source_gone"
	SourceDenied      Reason = "source_denied"
	SourceUnusable    Reason = "source_unusable"
	DigestConflict    Reason = "digest_conflict"
	StoreRefused      Reason = "store_refused"
	AttemptsExhausted Reason = "attempts_exhausted"
	InvalidEvent      Reason = "invalid_event"
)

// Reasons returns all reasons.
func Reasons() []Reason {
	return []Reason{SourceGone, SourceDenied, SourceUnusable, DigestConflict, StoreRefused, AttemptsExhausted, InvalidEvent}
}

// Headers of a dead letter.
const (
	headerReason  = "Twinreel-Reason"
	headerError   = "Twinreel-Error"
	headerTries   = "Twinreel-Attempts"
	headerSubject = "Twinreel-Origin-Subject"
	headerSeq     = "Twinreel-Origin-Seq"
	headerAt      = "Twinreel-Dead-At"
	headerTrace   = "traceparent"
)

// Letter is a dead letter: an event that a tier gave up, byte for byte, and why.
type Letter struct {
	Tier          tier.Tier
	Body          []byte
	Reason        Reason
	Error         string // no URL, no name; at most 1 KiB
	Attempts      int
	OriginSubject string
	OriginStream  string // in the message ID only
	OriginSeq     uint64
	DeadAt        time.Time
	Traceparent   string

	Sequence uint64 // in RECORDINGS_DLQ; set when read
}

// Letter publishes a dead letter and waits for its acknowledgement. Repeating it for the same origin is harmless.
func (p *Publisher) Letter(ctx context.Context, l Letter) error {
	msg := nats.NewMsg(LetterSubject(l.Tier))
	msg.Data = l.Body
	msg.Header["Content-Type"] = []string{event.ContentType}
	msg.Header.Set(headerReason, string(l.Reason))
	msg.Header.Set(headerError, fault.Clean(l.Error))
	msg.Header.Set(headerTries, strconv.Itoa(l.Attempts))
	msg.Header.Set(headerSubject, l.OriginSubject)
	msg.Header.Set(headerSeq, strconv.FormatUint(l.OriginSeq, 10))
	msg.Header.Set(headerAt, l.DeadAt.UTC().Format(time.RFC3339Nano))
	if l.Traceparent != "" {
		msg.Header[headerTrace] = []string{l.Traceparent}
	}
	id := fmt.Sprintf("%s/%s/%d", l.Tier, l.OriginStream, l.OriginSeq)
	if _, err := p.publish(ctx, msg, DeadLetters, id); err != nil {
		return fault.New(fault.Unavailable, fault.Queue, "publish dead letter", err)
	}
	return nil
}

// ParseLetter reads a message of RECORDINGS_DLQ.
func ParseLetter(subject string, seq uint64, header nats.Header, body []byte) (Letter, error) {
	l := Letter{
		Body: body, Sequence: seq, Reason: Reason(header.Get(headerReason)), Error: header.Get(headerError),
		OriginSubject: header.Get(headerSubject), OriginStream: Recordings,
	}
	if v := header[headerTrace]; len(v) > 0 {
		l.Traceparent = v[0]
	}
	var errs [4]error
	l.Tier, errs[0] = letterTier(subject)
	l.Attempts, errs[1] = strconv.Atoi(header.Get(headerTries))
	l.OriginSeq, errs[2] = strconv.ParseUint(header.Get(headerSeq), 10, 64)
	l.DeadAt, errs[3] = time.Parse(time.RFC3339Nano, header.Get(headerAt))
	if err := errors.Join(errs[:]...); err != nil {
		return l, fmt.Errorf("dead letter %d: %w", seq, err)
	}
	return l, nil
}

func letterTier(subject string) (tier.Tier, error) {
	for _, t := range tier.All() {
		if subject == LetterSubject(t) {
			return t, nil
		}
	}
	return "", fmt.Errorf("subject %q is no tier's", subject)
}
