package scrub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/plan"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
)

// maxPending is how many findings may wait for the audit log and the quarantine before reading stops.
const maxPending = 1000

// by is who audits.
const by = "reconciler"

// finding is a copy that differs.
type finding struct {
	tier       tier.Tier
	key        string // the recording's
	named, got digest.Digest
	info       objstore.Info // as the store describes the copy
	evidence   string
	found      time.Time

	audited, noted bool
}

// kind is what differs.
func (f finding) kind() plan.Kind {
	if f.got.Size != f.named.Size {
		return plan.SizeDiffers
	}
	return plan.ChecksumDiffers
}

// report makes a finding known: at once to whoever looks at logs and metrics, and to the audit log and the quarantine as
// soon as they take it.
func (s *Scrubber) report(ctx context.Context, l *lane, f finding) {
	f.found = time.Now()
	s.Log.Error("a copy differs from what was agreed on: see reconciler quarantine show", zap.String("tier", f.tier.String()),
		zap.String("recording_id", f.key), zap.String("kind", string(f.kind())), zap.String("evidence", f.evidence))
	s.Metrics.findings.WithLabelValues(f.tier.String(), string(f.kind())).Inc()
	s.mu.Lock()
	l.pending = append(l.pending, f)
	s.mu.Unlock()
	s.flush(ctx, l)
}

// relieve waits while too many findings are known to nobody else.
func (s *Scrubber) relieve(ctx context.Context, l *lane) error {
	for {
		s.mu.Lock()
		n := len(l.pending)
		s.mu.Unlock()
		if n < maxPending {
			return nil
		}
		if err := sleep(ctx, look); err != nil {
			return err
		}
	}
}

// flush has the pending findings audited and noted, and reports whether none is left. The audit event comes with each
// turn that finds the same again; what is noted already stays as it is.
func (s *Scrubber) flush(ctx context.Context, l *lane) bool {
	l.saving.Lock()
	defer l.saving.Unlock()
	return s.settle(ctx, l)
}

// settle is flush, for who has the lock.
func (s *Scrubber) settle(ctx context.Context, l *lane) bool {
	for {
		s.mu.Lock()
		if len(l.pending) == 0 {
			s.mu.Unlock()
			return true
		}
		f := l.pending[0]
		s.mu.Unlock()
		err := within(ctx, actTime, func(ctx context.Context) error { return s.publish(ctx, &f) })
		s.mu.Lock()
		if l.pending[0] = f; err == nil {
			l.pending = l.pending[1:]
		}
		s.mu.Unlock()
		s.silence(ctx, l, err)
		if err != nil {
			return false
		}
	}
}

// publish does what is not done yet; one that fails does not keep the other from being done.
func (s *Scrubber) publish(ctx context.Context, f *finding) error {
	var audit, note error
	if !f.noted {
		_, note = s.Note.Note(ctx, quarantine.About{IdempotencyKey: f.key, ObjectKey: f.info.Key},
			quarantine.Difference{Kind: string(f.kind()), Tier: f.tier.String(), ObjectKey: f.info.Key, Evidence: f.evidence, Read: true})
		f.noted = note == nil
	}
	if !f.audited {
		audit = s.Audit.Audit(ctx, f.event(s.Stores[f.tier].Bucket()))
		f.audited = audit == nil
	}
	if audit != nil {
		return audit
	}
	return note
}

// event is the finding's audit event.
func (f finding) event(bucket string) event.Audit {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %d", f.info.Key, f.evidence, f.found.UnixNano()))
	return event.Audit{
		Kind: event.AuditQuarantined, Tier: f.tier.String(), Time: f.found,
		MsgID: fmt.Sprintf("%s/%s/%s/%s", event.AuditQuarantined, f.tier, reason, hex.EncodeToString(sum[:8])),
		Data: event.AuditData{
			Tier: f.tier.String(), IdempotencyKey: f.key, ObjectKey: f.info.Key, Bucket: bucket, ETag: f.info.ETag, VersionID: f.info.VersionID,
			SHA256: f.got.SHA256, CRC64NVME: digest.EncodeCRC64(f.got.CRC64), Size: &f.info.Size, Reason: string(f.kind()) + ": " + f.evidence, By: by,
		},
	}
}

// silence says once that the audit log or the quarantine take nothing, and once that they do again.
func (s *Scrubber) silence(ctx context.Context, l *lane, err error) {
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	was := l.mute
	l.mute = err != nil
	s.mu.Unlock()
	switch {
	case err != nil && !was:
		s.Log.Warn("reading back goes on, but what it finds and where it is cannot be written down", zap.String("tier", l.tier.String()),
			zap.String("error", fault.Text(err)))
	case err == nil && was:
		s.Log.Info("what reading back finds is written down again", zap.String("tier", l.tier.String()))
	}
}
