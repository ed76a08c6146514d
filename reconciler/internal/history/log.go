package history

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// NewestAudited is how many of the newest events of AUDIT are searched for a recording, of those that are not sealed.
const NewestAudited = 100_000

// FromLog returns what AUDIT tells of a recording in its events after the sequence that is sealed, but of the newest
// NewestAudited at most: whole is false where there are more, which may tell of it as well.
func FromLog(ctx context.Context, js jetstream.JetStream, key string, sealed uint64) (out []Entry, whole bool, err error) {
	stream, err := js.Stream(ctx, queue.Audit)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, false, fmt.Errorf("stream %s: %w", queue.Audit, queue.ErrNotProvisioned)
	}
	if err != nil {
		return nil, false, fmt.Errorf("stream %s: %w", queue.Audit, err)
	}
	state := stream.CachedInfo().State
	from := max(sealed+1, state.FirstSeq)
	whole = true
	if state.LastSeq >= from+NewestAudited {
		from, whole = state.LastSeq-NewestAudited+1, false
	}
	if from > state.LastSeq {
		return nil, whole, nil
	}
	named := []byte(`"` + key + `"`) // most events are of others, and need not be read
	err = scan.Stream(ctx, js, queue.Audit, scan.Range{From: from}, func(m scan.Message) error {
		if bytes.Contains(m.Body, named) {
			if e, ok := FromAudit(m.Body, key); ok {
				out = append(out, e)
			}
		}
		return nil
	})
	return out, whole, err
}

// FromAudit returns what an audit event tells of the recording; false where it tells of another, or of none.
func FromAudit(body []byte, key string) (Entry, bool) {
	var a struct {
		ID   string          `json:"id"`
		Type string          `json:"type"`
		Time time.Time       `json:"time"`
		Data event.AuditData `json:"data"`
	}
	if json.Unmarshal(body, &a) != nil || a.Data.IdempotencyKey != key {
		return Entry{}, false
	}
	kind, isAudit := strings.CutPrefix(a.Type, "com.twinreel.audit.")
	kind, isV1 := strings.CutSuffix(kind, ".v1")
	if !isAudit || !isV1 {
		return Entry{}, false
	}
	at := a.Time.UTC()
	e := Entry{At: &at, Tier: a.Data.Tier, What: tell(event.AuditKind(kind), a.Data), id: a.ID, kind: event.AuditKind(kind)}
	if e.Tier == "" {
		e.Tier = event.AuditAll
	}
	return e, true
}

// tell says in a line what an audit event reports.
func tell(kind event.AuditKind, d event.AuditData) string {
	words := map[event.AuditKind]string{
		event.AuditAlreadyPresent: "found as agreed", event.AuditAcceptedUnverified: "found, and accepted unverified", event.AuditDead: "given up",
		event.AuditReplayed: "replayed", event.AuditRedriven: "sent again", event.AuditConflict: "stored while what was agreed on changed",
		event.AuditDiscarded: "dead letter discarded", event.AuditResolved: "dead letter resolved", event.AuditConfirmed: "confirmed by the reconciler",
	}
	text := words[kind]
	if text == "" {
		text = string(kind)
	}
	if d.VersionID != "" {
		text += ", version " + fault.Clean(d.VersionID)
	}
	if d.Case != "" {
		text += ", case " + fault.Clean(d.Case)
	}
	if d.By != "" {
		text += ", by " + fault.Clean(d.By)
	}
	if d.Reason != "" {
		text += ": " + fault.Clean(d.Reason)
	}
	return text
}

// ErrTail is returned beside what was found where AUDIT holds more that is not sealed than is looked at.
var ErrTail = errors.New("so many audit events are not sealed yet that only the newest were looked at")

// Sealed is the sealed audit log: it returns what it tells of a recording, and the sequence of AUDIT up to which it has all.
type Sealed func(ctx context.Context, key string) (told []Entry, through uint64, err error)

// Tail is what of AUDIT is not sealed: it returns what that tells of a recording in events after the sequence that is sealed;
// whole is false where there are more than were looked at.
type Tail func(ctx context.Context, key string, sealed uint64) (told []Entry, whole bool, err error)

// Log returns a Finder's Log: what is sealed (nil: nothing is), and behind it what AUDIT holds.
func Log(tail Tail, sealed Sealed) func(ctx context.Context, key string) ([]Entry, error) {
	return func(ctx context.Context, key string) ([]Entry, error) {
		var told []Entry
		var through uint64
		var serr error
		if sealed != nil {
			told, through, serr = sealed(ctx, key)
		}
		rest, whole, err := tail(ctx, key, through)
		if err == nil && !whole {
			err = ErrTail
		}
		return append(told, rest...), errors.Join(serr, err)
	}
}

// Search is the Tail that searches AUDIT itself: see FromLog.
func Search(js jetstream.JetStream) Tail {
	return func(ctx context.Context, key string, sealed uint64) ([]Entry, bool, error) {
		return FromLog(ctx, js, key, sealed)
	}
}
