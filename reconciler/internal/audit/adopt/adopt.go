// Package adopt takes over what another region had not sealed of its log when it was lost: from the mirror of its AUDIT stream
// into this region's own, under the same message IDs, so that whoever reads counts each once, also when the lost region returns
// and seals it itself.
package adopt

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/leaf"
	"github.com/twinreel/twinreel/reconciler/internal/audit/tree"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// Adopter takes a lost region's log over.
type Adopter struct {
	JS        jetstream.JetStream
	Publisher *queue.Publisher
	Log       *audit.Log
	DryRun    bool // nothing is published
}

// Result is what came of it.
type Result struct {
	Epoch   epoch.ID `json:"epoch"`   // of the lost region's log; "" where no store has any of it
	Sealed  uint64   `json:"sealed"`  // so far it was sealed there
	Held    uint64   `json:"held"`    // so far it had come over
	Adopted int64    `json:"adopted"` // messages that were published here; of a dry run, that would be
}

// Run publishes what the mirror holds beyond what is sealed of it. It may be repeated.
func (a *Adopter) Run(ctx context.Context) (r Result, err error) {
	mirror, err := a.JS.Stream(ctx, queue.PeerAudit)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return r, fmt.Errorf("there is no mirror of another region's log (%s): this region has no peer, or was not provisioned with TWINREEL_PEER_DOMAIN", queue.PeerAudit)
	}
	if err != nil {
		return r, fault.New(fault.Unavailable, fault.Audit, "read stream "+queue.PeerAudit, err)
	}
	r.Held = mirror.CachedInfo().State.LastSeq
	if r.Epoch, r.Sealed, err = a.sealed(ctx, mirror); err != nil {
		return r, err
	}
	err = scan.Stream(ctx, a.JS, queue.PeerAudit, scan.Range{From: r.Sealed + 1}, func(m scan.Message) error {
		if m.Sequence <= r.Sealed || m.Subject == queue.AuditSubject("mark", "all") { // a mark is of its own stream alone
			return nil
		}
		r.Adopted++
		if a.DryRun {
			return nil
		}
		return a.Publisher.Again(ctx, queue.Audit, m.Subject, messageID(m), m.Header, m.Body)
	})
	return r, err
}

// messageID is the ID under which the message is published here: its own, else one made of where it stood.
func messageID(m scan.Message) string {
	if id := m.Header.Get(jetstream.MsgIDHeader); id != "" {
		return id
	}
	return fmt.Sprintf("adopted/%s/%d", m.Stored.UTC().Format("20060102T150405.000000000Z"), m.Sequence)
}

// sealed finds the epoch of which the mirror is the stream, and how far it is sealed in any store: the one whose last leaf that can
// have come over is a message of the mirror, byte for byte. Which of the sealed logs is whose nobody else says once its region is
// gone. More may be sealed than has come over, where the line was cut before the region was lost.
func (a *Adopter) sealed(ctx context.Context, mirror jetstream.Stream) (found epoch.ID, size uint64, err error) {
	epochs, err := a.Log.Copies(ctx)
	if err != nil {
		return "", 0, err
	}
	for _, copies := range epochs {
		for _, c := range copies {
			same, err := a.same(ctx, mirror, c)
			if err != nil {
				return "", 0, err
			}
			if same && uint64(c.Size) > size {
				found, size = c.Epoch, uint64(c.Size)
			}
		}
	}
	return found, size, nil
}

// same says that the last leaf of a copy, or the one where the mirror ends, is the mirror's message of its sequence.
func (a *Adopter) same(ctx context.Context, mirror jetstream.Stream, c audit.Copy) (bool, error) {
	at := min(c.Size, int64(mirror.CachedInfo().State.LastSeq))
	if at < 1 {
		return false, nil
	}
	lines, first, err := tree.Lines(ctx, c.Reader, c.Epoch, at-1, c.Size)
	if err != nil {
		return false, err
	}
	m, err := mirror.GetMsg(ctx, uint64(at))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fault.New(fault.Unavailable, fault.Audit, "read stream "+queue.PeerAudit, err)
	}
	was := leaf.Leaf{Sequence: m.Sequence, Subject: m.Subject, Stored: m.Time.UTC(), MsgID: m.Header.Get(jetstream.MsgIDHeader), Body: m.Data}
	return bytes.Equal(was.Line(), lines[at-1-first]), nil
}
