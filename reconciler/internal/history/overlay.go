package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
)

// same is within what time two tellings of one thing lie.
const same = time.Minute

// judge says of the record what only the reconciler's own buckets know: that the recording was forgotten, or is in
// quarantine. A recording that nobody else knows is known by that.
func (f *Finder) judge(ctx context.Context, key string, r *Recording) {
	if f.Quarantined != nil {
		q, err := f.Quarantined(ctx, key)
		switch {
		case errors.Is(err, quarantine.ErrNone):
		case err != nil:
			f.Aside("the quarantine", err)
		case q.Open():
			r.named(key)
			r.Status = ledger.Quarantined
			for _, d := range q.Differences {
				r.add(d.Since, d.Tier, fmt.Sprintf("in quarantine for %s: %s", fault.Clean(d.Kind), fault.Clean(d.Evidence)))
			}
		}
	}
	if f.Erased != nil {
		t, err := f.Erased(ctx, key)
		switch {
		case errors.Is(err, erasure.ErrNone):
		case err != nil:
			f.Aside("the tombstones", err)
		default:
			r.named(key)
			r.Status = ledger.Forgotten
			r.tell(event.AuditForgotten, t.At, event.AuditAll, "forgotten")
		}
	}
}

// tellLog adds what the audit log tells. What it tells of a copy, a letter or a redrive is not told twice.
func (f *Finder) tellLog(ctx context.Context, key string, r *Recording) {
	if f.Log == nil {
		return
	}
	told, err := f.Log(ctx, key)
	if err != nil {
		f.Aside("the audit log", err)
	}
	seen := map[string]bool{}
	var fresh []Entry
	for _, e := range told {
		if e.id != "" && seen[e.id] {
			continue // published twice under one message ID, further apart than the stream's window
		}
		seen[e.id] = true
		fresh = append(fresh, e)
	}
	if len(fresh) == 0 {
		return
	}
	r.named(key)
	r.Timeline = slices.DeleteFunc(r.Timeline, func(e Entry) bool { return e.toldBy(fresh) })
	r.Timeline = append(r.Timeline, fresh...)
}

// toldBy reports whether the log tells the same.
func (e Entry) toldBy(log []Entry) bool {
	for _, l := range log {
		if l.Tier == e.Tier && l.stands(e.kind) && (e.At == nil || e.At.Sub(*l.At).Abs() <= same) {
			return true
		}
	}
	return false
}

// stands reports whether an entry of the log is what the record tells as kind.
func (e Entry) stands(kind event.AuditKind) bool {
	switch kind {
	case event.AuditRedriven:
		return e.kind == event.AuditRedriven || e.kind == event.AuditReplayed
	case event.AuditStored, event.AuditDead, event.AuditForgotten:
		return e.kind == kind
	}
	return false
}
