package plan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
	"github.com/twinreel/twinreel/reconciler/internal/spool"
)

// The cap on what one run repairs: a share of the recordings that it looked at, and a number that is always allowed.
const (
	capShare = 10 // a tenth
	capLeast = 100
)

// Plan is what one run found and would do. Close it.
type Plan struct {
	ID       ID
	Scope    Scope
	Counts   inventory.Counts // of a full run
	Expected int64            // recordings that the ledger names
	Looked   int64            // recordings at which a closer look was taken
	Unjudged int64            // recordings of which somebody did not answer: nothing is said of them
	Why      string           // of the last of them
	Unread   int64            // copies whose store reports no checksum, and that this run left to the scrub to read
	Unheard  int64            // unknown recordings and objects of which nothing is said, since the other region cannot be heard
	Excused  int64            // keys, or recordings, that are not yet missing
	Cursor   uint64           // of a run of what is new: where in RECORDINGS the next one begins
	Seen     uint64           // likewise: up to where it has looked
	Sends    int64            // events that would be sent again
	ByKind   map[Kind]int64   // findings, but those that were noted before

	found *spool.Sorter
}

// Scope is how much a run looked at.
type Scope string

// The scopes.
const (
	New  Scope = "new"  // what is new and still open, by Stat
	Full Scope = "full" // whole inventories
	Deep Scope = "deep" // likewise, and every checksum and tag
)

func newPlan(scope Scope, dir string) *Plan {
	return &Plan{Scope: scope, ByKind: map[Kind]int64{}, found: spool.New(dir, spool.Memory)}
}

// Close gives up its files.
func (p *Plan) Close() error { return p.found.Close() }

// record is a finding in the spool.
type record struct {
	Finding
	Sends []Send `json:"sends,omitempty"`
}

// add takes in a finding.
func (p *Plan) add(f Finding) error {
	p.ID.Add(f)
	if f.Action != Known {
		p.ByKind[f.Kind]++
	}
	p.Sends += int64(len(f.sends))
	b, err := json.Marshal(record{Finding: f, Sends: f.sends})
	if err != nil {
		return fmt.Errorf("note a finding: %w", err)
	}
	rank := "1"
	if f.Kind == MissingPrimary || f.Kind == MissingBoth {
		rank = "0" // primary's backfill comes first
	}
	return p.found.Add(rank+f.IdempotencyKey+"\x00"+f.ObjectKey, b)
}

// mostUnjudged is how many recordings may not be judged before a run gives up: then it is not the recordings.
const mostUnjudged = 20

// unjudged notes a recording that could not be judged, and lets the run go on: one that cannot be looked at must not hide
// what is wrong with the others.
func (p *Plan) unjudged(ctx context.Context, s Subject, err error) error {
	if p.Unjudged++; p.Unjudged >= mostUnjudged || ctx.Err() != nil {
		return err
	}
	p.Why = fmt.Sprintf("%s: %s", s.Key, fault.Text(err))
	return nil
}

// Len returns how many findings there are.
func (p *Plan) Len() int { return p.found.Len() }

// Findings yields all findings, what is missing in primary first; it stops at the first error.
func (p *Plan) Findings() iter.Seq2[Finding, error] {
	return func(yield func(Finding, error) bool) {
		for r, err := range p.found.All() {
			var rec record
			if err == nil && json.Unmarshal(r.Value, &rec) != nil {
				err = errors.New("a finding cannot be read back")
			}
			f := rec.Finding
			f.sends = rec.Sends
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}

// Cap is how many events one run may send again without being asked.
func (p *Plan) Cap() int64 { return max(capLeast, p.Expected/capShare) }

// Above says that the plan would send more again than the cap allows: a listing may be wrong.
func (p *Plan) Above() bool { return p.Sends > p.Cap() }
