package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/tier"
)

// How the peer's log is read.
const (
	peerBatch  = 512
	peerMemory = time.Hour // what was read from a time this much earlier than is asked for is dropped
)

// PeerLog answers from the mirror of the peer's AUDIT whether a tier had a recording's copy there. It is read when it is
// first asked for something, from that event's time on, and then followed: in good times nobody asks, since nothing that
// the peer accepted is missing. It is safe for concurrent use.
type PeerLog struct {
	nc   *nats.Conn
	tier tier.Tier

	mu   sync.Mutex
	from time.Time // what is in copies was written after this
	next uint64    // the first sequence that is not
	held map[string]struct{}
}

// NewPeerLog returns what the peer's log tells of that tier.
func NewPeerLog(nc *nats.Conn, t tier.Tier) *PeerLog { return &PeerLog{nc: nc, tier: t} }

// Held reports whether the log says, since a time before which nothing of the recording was done, that the tier has its copy.
// What has not been replicated is not known.
func (l *PeerLog) Held(ctx context.Context, key string, since time.Time) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil || since.Before(l.from) || since.Sub(l.from) > peerMemory {
		l.from, l.next, l.held = since, 0, map[string]struct{}{}
	}
	for more := true; more; {
		var err error
		if more, err = l.read(ctx); err != nil {
			return false, fmt.Errorf("read %s: %w", PeerAudit, Refused(l.nc, err))
		}
	}
	_, held := l.held[shortHash(key)]
	return held, nil
}

// shortHash names a recording in memory.
func shortHash(key string) string { return event.HashKey(key)[:24] }

// read takes in a batch, and reports whether there is more.
func (l *PeerLog) read(ctx context.Context) (more bool, err error) {
	question := map[string]any{"next_by_subj": AuditSubject("*", l.tier.String()), "batch": peerBatch}
	if l.next == 0 {
		question["start_time"] = l.from.UTC()
	} else {
		question["seq"] = l.next
	}
	left, err := directGet(ctx, l.nc, PeerAudit, question, l.take)
	return left != "0", err
}

// take notes what an event says.
func (l *PeerLog) take(msg *nats.Msg) error {
	seq, err := strconv.ParseUint(msg.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return errors.New("a sequence that is no number")
	}
	l.next = seq + 1
	kind, _, _ := strings.Cut(strings.TrimPrefix(msg.Header.Get("Nats-Subject"), "audit."), ".")
	switch event.AuditKind(kind) {
	case event.AuditStored, event.AuditAlreadyPresent, event.AuditAcceptedUnverified, event.AuditConfirmed:
		var e struct {
			Data event.AuditData `json:"data"`
		}
		if json.Unmarshal(msg.Data, &e) == nil && e.Data.IdempotencyKey != "" {
			l.held[shortHash(e.Data.IdempotencyKey)] = struct{}{}
		}
	}
	return nil
}
