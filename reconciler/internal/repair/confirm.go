package repair

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/evidence"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// sideBySide is how many recordings are confirmed side by side.
const sideBySide = 8

// markerLife is how long the bucket keeps the mark of an entry that was freed.
const markerLife = time.Hour

// Confirm frees the digest entries of recordings that both tiers hold, as its own look at both stores says, and writes into
// the log that they do: from then on backup's copy is an archive whose primary is proven. busy reports whether an event or
// a letter of a recording is open: its entry stays.
func (r *Repairer) Confirm(ctx context.Context, busy func(key string) bool) (confirmed int64, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	var failed []error
	slots := make(chan struct{}, sideBySide)
	err = scan.Stream(ctx, r.JS, queue.BucketStream(queue.Digests), scan.Range{}, func(m scan.Message) error {
		if m.Header.Get("KV-Operation") != "" || m.Header.Get("Nats-Marker-Reason") != "" {
			return nil
		}
		entry, err := digest.ParseEntry(m.Body)
		if err != nil || entry.Forgotten {
			return nil // for ever; or nobody can read it, and the workers say so
		}
		side, err := event.ParseSidecar(entry.Sidecar)
		if err != nil || busy(side.IdempotencyKey) {
			return nil
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			done, err := r.confirm(ctx, side.IdempotencyKey, m.Sequence)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && ctx.Err() == nil {
				failed = append(failed, err)
				r.Log.Warn("a recording could not be confirmed", zap.String("recording_id", side.IdempotencyKey), zap.String("error", fault.Text(err)))
			}
			if done {
				confirmed++
				r.Progress("confirming", confirmed, 0)
			}
		})
		mu.Lock()
		defer mu.Unlock()
		if len(failed) >= mostFailed { // a store is away: the rest would fail as well
			return failed[0]
		}
		return nil
	})
	all.Wait()
	return confirmed, err
}

// confirm frees one entry at the revision at which it was read, if both tiers hold what it says.
func (r *Repairer) confirm(ctx context.Context, key string, revision uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	e, err := r.Source.Gather(ctx, key, "")
	if err != nil {
		return false, err
	}
	if e.Entry == nil || e.Entry.Revision != revision || !e.Clear() || !e.Stored(tier.Primary) || !e.Stored(tier.Backup) {
		return false, nil
	}
	if err := r.auditConfirmed(ctx, key, e); err != nil {
		return false, err
	}
	err = r.Source.Digests.Purge(ctx, event.HashKey(key), jetstream.LastRevision(revision), jetstream.PurgeTTL(markerLife))
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return false, nil // it is another by now
	}
	if err != nil {
		return false, fault.New(fault.Unavailable, fault.Agreement, "free the digest entry", err)
	}
	r.Log.Debug("confirmed", zap.String("recording_id", key))
	return true, nil
}

// auditConfirmed says of backup's copy that primary's is proven.
func (r *Repairer) auditConfirmed(ctx context.Context, key string, e *evidence.Evidence) error {
	o := e.Object[tier.Backup]
	size := e.Entry.Size
	return r.Publisher.Audit(ctx, event.Audit{
		Kind: event.AuditConfirmed, Tier: tier.Backup.String(), Time: r.Now(),
		MsgID: fmt.Sprintf("%s/%s/%s/%d", event.AuditConfirmed, tier.Backup, event.HashKey(key), e.Entry.Revision),
		Data: event.AuditData{
			Tier: tier.Backup.String(), IdempotencyKey: key, ObjectKey: o.Key, Bucket: r.Source.Stores[tier.Backup].Bucket(), ETag: o.ETag,
			VersionID: o.VersionID, SHA256: e.Entry.SHA256, CRC64NVME: digest.EncodeCRC64(e.Entry.CRC64), Size: &size,
			Reason: "primary and backup hold what was agreed on", By: r.By,
		},
	})
}
