package rebuild

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/pending"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// told is an audit event of a copy.
type told struct {
	ID   string          `json:"id"`
	Type string          `json:"type"`
	Time time.Time       `json:"time"`
	Data event.AuditData `json:"data"`
}

// copied takes one audit event of a copy. One of a program that says it otherwise is left out.
func (r *Rebuilder) copied(ctx context.Context, key string, m scan.Message) error {
	var a told
	_ = json.Unmarshal(m.Body, &a)
	t, d, ok := copyIn(a.Data)
	if !ok {
		return nil
	}
	info, there, err := r.proven(ctx, t, a.Data.ObjectKey, d)
	if err != nil {
		return err
	}
	if !there {
		r.count(func(c *Result) { c.Missing++ })
		return nil
	}
	side := ledger.Stored{
		Bucket: a.Data.Bucket, Key: a.Data.ObjectKey, ETag: a.Data.ETag, VersionID: a.Data.VersionID, Timestamp: info.Modified.UTC(),
	}
	if strings.HasSuffix(a.Type, "."+string(event.AuditStored)+".v1") || info.Modified.IsZero() {
		side.Timestamp = a.Time.UTC()
	}
	received, err := r.received(ctx, a.ID, key)
	if err != nil {
		return err
	}
	return r.fill(ctx, key, t, side, d, received)
}

// copyIn returns the tier and the digest of the copy that an audit event tells of.
func copyIn(a event.AuditData) (t tier.Tier, d digest.Digest, ok bool) {
	t, terr := tier.Parse(a.Tier)
	crc, cerr := digest.DecodeCRC64(a.CRC64NVME)
	if terr != nil || cerr != nil || a.Size == nil {
		return t, d, false
	}
	return t, digest.Digest{SHA256: a.SHA256, CRC64: crc, Size: *a.Size}, true
}

// received returns when the event was accepted whose delivery the audit event follows, as its ID tells; zero if that has
// left RECORDINGS. Of a recording with several the one stands in the record that was done first.
func (r *Rebuilder) received(ctx context.Context, id, key string) (time.Time, error) {
	seq := followed(id)
	if seq == 0 || r.Ledger == nil {
		return time.Time{}, nil
	}
	m, err := r.events.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fault.New(fault.Unavailable, fault.Queue, "read an event", err)
	}
	if pending.KeyOf(m.Data) != key {
		return time.Time{}, nil // the stream was made anew
	}
	return receivedIn(m.Data), nil
}

// followed is the sequence in RECORDINGS of the delivery that an audit event follows, by its ID: kind, tier, stream, sequence.
// 0 for none.
func followed(id string) uint64 {
	of := strings.Split(id, "/")
	if len(of) != 4 || of[2] != queue.Recordings {
		return 0
	}
	seq, _ := strconv.ParseUint(of[3], 10, 64)
	return seq
}

// receivedIn is when an event was accepted, zero if it does not tell.
func receivedIn(body []byte) time.Time {
	var e struct {
		Data struct {
			ReceivedAt time.Time `json:"receivedAt"`
		} `json:"data"`
	}
	_ = json.Unmarshal(body, &e)
	return e.Data.ReceivedAt
}

// fill writes a copy.
func (r *Rebuilder) fill(ctx context.Context, key string, t tier.Tier, side ledger.Stored, d digest.Digest, received time.Time) error {
	known := ledger.Record{RecordingID: idOf(key), SHA256: d.SHA256, Size: d.Size, ReceivedAt: received}
	known.SetSide(t, &side)
	return r.write(ctx, key, known, func(c *Result) { c.Copies++ })
}
