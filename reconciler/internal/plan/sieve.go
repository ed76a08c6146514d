package plan

import (
	"strings"
	"time"

	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
	"github.com/twinreel/twinreel/reconciler/internal/spool"
)

// Rules are what the judgement rests on beside the evidence.
type Rules struct {
	Now       time.Time
	Grace     time.Duration      // accepted less than so long ago: not yet missing
	Retention time.Duration      // accepted longer ago: gone from primary is expired
	Unwell    map[tier.Tier]bool // what such a tier lacks is not missing: it cannot take it now
	Resolver  bool               // the workers can ask the platform for a fresh link
}

// excused says that what tier t lacks of the recording is not missing: it may be on its way.
func (r Rules) excused(e *inventory.Entry, t tier.Tier) bool {
	return r.Unwell[t] || e.In(t).Open || r.Now.Sub(e.Newest) < r.Grace
}

// past says that what is gone from primary is expired.
func (r Rules) past(e *inventory.Entry) bool { return r.Now.Sub(e.First) > r.Retention }

// sieve lets through what is in step, and collects the rest for a closer look.
type sieve struct {
	rules   Rules
	closer  func(key string) bool // recordings at which a closer look is due whatever the listings say
	found   subjects
	excused int64 // keys that are not yet missing
}

func newSieve(rules Rules, dir string, closer func(key string) bool) *sieve {
	return &sieve{rules: rules, closer: closer, found: subjects{spool.New(dir, spool.Memory)}}
}

// row looks at one key of the inventories.
func (s *sieve) row(r *inventory.Row) error {
	if strings.HasPrefix(r.Key, auditFolder) {
		return nil // the sealed log is proven by its own means
	}
	t := trace{Key: r.Key, Entry: r.Ledger, Listed: true}
	var visible [2]*inventory.Listed
	for i, l := range [2]*inventory.Listed{r.Primary, r.Backup} {
		if l == nil {
			continue
		}
		at := Place{tier.All()[i], r.Key}
		if l.Versions > 1 || !l.Visible {
			t.Several = append(t.Several, Several{at, l.Versions, l.Alike, l.Visible})
		}
		if l.Visible {
			visible[i], t.Seen[i] = l, true
		}
		if l.Visible && r.Ledger == nil {
			t.Others = append(t.Others, at)
		}
	}
	switch {
	case r.Ledger == nil:
		if len(t.Others) == 0 {
			return nil // deleted, and nobody's
		}
	case len(t.Several) == 0 && s.settled(r, visible):
		return nil
	}
	return s.found.add(t)
}

// settled says that a key of the ledger needs no closer look.
func (s *sieve) settled(r *inventory.Row, visible [2]*inventory.Listed) bool {
	if p, b := visible[0], visible[1]; p != nil && b != nil {
		if sealed := r.Ledger.Sealed; r.Key == r.Ledger.ObjectKey && (sealed.Torn || sealed.Digest.Known() && sealed.Size != p.Size) {
			return false
		}
		return p.Size == b.Size && (strings.HasPrefix(r.Key, sidecarFolder) || !s.closer(r.Ledger.IdempotencyKey))
	}
	for i, t := range tier.All() {
		if visible[i] == nil && !s.rules.excused(r.Ledger, t) {
			return false
		}
	}
	s.excused++
	return true
}
