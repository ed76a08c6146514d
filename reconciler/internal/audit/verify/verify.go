// Package verify proves a sealed log from one store's copy alone: it makes all objects once more from the leaves, as whoever
// sealed them did, and compares each, byte by byte. Nothing else is needed but the public key.
//
// A finding names the object that is not as it should be. Where a tile of leaves and a tile of hashes contradict each other,
// the tile above, or else the signed checkpoint, says which of the two was changed.
package verify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
)

// Problem is a kind of finding.
type Problem string

// The problems.
const (
	Missing    Problem = "missing"     // an object that the log must have is not there
	Changed    Problem = "changed"     // an object has other bytes than it was written with
	Unexpected Problem = "unexpected"  // an object that does not belong to the log
	Versions   Problem = "versions"    // an object was written more than once
	Signature  Problem = "signature"   // a checkpoint that none of the keys has signed
	Rewritten  Problem = "rewritten"   // a checkpoint says something else than the leaves, or than a trusted one
	RolledBack Problem = "rolled_back" // the log ends before a checkpoint that was seen already
	Unlinked   Problem = "unlinked"    // an epoch and the one before do not fit together
	Diverged   Problem = "diverged"    // the two stores' logs contradict each other
	Behind     Problem = "behind"      // one store's log ends long before the other's
	Unchecked  Problem = "unchecked"   // what cannot be checked because of the above
)

// most findings are told one by one.
const most = 200

// Finding is one thing that is wrong.
type Finding struct {
	Store   string  `json:"store"`
	Problem Problem `json:"problem"`
	Object  string  `json:"object"` // its key
	Leaf    *int64  `json:"leaf,omitempty"`
	Detail  string  `json:"detail"` // what was expected, and what was found
}

// Epoch is what was verified of one epoch.
type Epoch struct {
	Epoch       epoch.ID  `json:"epoch"`
	Size        int64     `json:"size"` // leaves up to the last checkpoint
	Root        tlog.Hash `json:"root"`
	Checkpoints int64     `json:"checkpoints"`
	Gaps        int64     `json:"gaps"`  // leaves that stand for lost messages
	Ahead       int       `json:"ahead"` // objects behind the last checkpoint: a sealing that is not done, or was undone

	heads map[int64]head
	first checkpoint.Checkpoint
	note  []byte
}

// head is one checkpoint of an epoch.
type head struct {
	root tlog.Hash
	at   time.Time // of its mark
}

// Report is the outcome for one store.
type Report struct {
	Store    string    `json:"store"`
	Epochs   []Epoch   `json:"epochs"`
	Objects  int       `json:"objects"`
	Findings []Finding `json:"findings"` // none: the log is whole
	More     int       `json:"more"`     // findings that are not told one by one
}

// Newest returns the newest verified checkpoint as signed, nil where there is none.
func (r Report) Newest() []byte {
	if len(r.Epochs) == 0 {
		return nil
	}
	return r.Epochs[len(r.Epochs)-1].note
}

// Verifier verifies the log in one store.
type Verifier struct {
	Name    string // of the store, in findings
	Reader  objstore.Reader
	Keys    checkpoint.Keys
	Trusted []checkpoint.Checkpoint // seen before: the log must still say what they say
}

// Verify reads all of the log. An error means that it could not be read: it says nothing about the log.
func (v *Verifier) Verify(ctx context.Context) (Report, error) {
	r := &Report{Store: v.Name, Findings: []Finding{}, Epochs: []Epoch{}}
	found, err := v.list(ctx, r)
	if err != nil {
		return Report{}, err
	}
	for _, e := range found.epochs() {
		w := &walk{Verifier: v, report: r, epoch: e, objects: found.of[e], expected: map[string]bool{}, rebuilt: map[string][]byte{}, read: map[string][]byte{}}
		one, err := w.run(ctx)
		if err != nil {
			return Report{}, fmt.Errorf("verify epoch %s in %s: %w", e, v.Name, err)
		}
		r.Epochs = append(r.Epochs, one)
	}
	v.links(r)
	v.trusted(r)
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		if a.Problem == Unchecked != (b.Problem == Unchecked) {
			if a.Problem == Unchecked {
				return 1
			}
			return -1
		}
		return 0
	})
	return *r, nil
}

// add notes a finding.
func (r *Report) add(f Finding) {
	f.Store = r.Store
	if len(r.Findings) >= most {
		r.More++
		return
	}
	r.Findings = append(r.Findings, f)
}

// trusted holds the log against checkpoints that were seen before, of epochs and serial numbers that the walk did not meet.
func (v *Verifier) trusted(r *Report) {
	for _, c := range v.Trusted {
		at := slices.IndexFunc(r.Epochs, func(e Epoch) bool { return e.Epoch == c.Epoch })
		switch {
		case at < 0:
			r.add(Finding{Problem: RolledBack, Object: c.Epoch.Prefix(), Detail: fmt.Sprintf("the epoch is gone; a trusted checkpoint has %d leaves of it", c.Size)})
		case r.Epochs[at].Size < c.Size:
			r.add(Finding{Problem: RolledBack, Object: checkpoint.Key(c.Epoch, c.Serial), Detail: fmt.Sprintf("the log ends at %d leaves; a trusted checkpoint has %d", r.Epochs[at].Size, c.Size)})
		default:
			h, there := r.Epochs[at].heads[c.Size]
			if !there || h.root != c.Root {
				r.add(Finding{Problem: Rewritten, Object: checkpoint.Key(c.Epoch, c.Serial), Detail: fmt.Sprintf("a trusted checkpoint has the root %s at %d leaves; the log has not", c.Root, c.Size)})
			}
		}
	}
}

// links looks whether each epoch names the last checkpoint of the one before.
func (v *Verifier) links(r *Report) {
	named := map[epoch.ID]bool{}
	for i, e := range r.Epochs {
		p := e.first.Previous
		if e.first.Serial == 0 {
			continue // no first checkpoint; that is told already
		}
		object := checkpoint.Key(e.Epoch, 1)
		if p.Epoch == "" {
			if i > 0 && !beside(r.Epochs[i-1], e) {
				r.add(Finding{Problem: Unlinked, Object: object, Detail: fmt.Sprintf("it names no epoch before it, and there is %s", r.Epochs[i-1].Epoch)})
			}
			continue
		}
		named[p.Epoch] = true
		at := slices.IndexFunc(r.Epochs, func(o Epoch) bool { return o.Epoch == p.Epoch })
		if at < 0 {
			r.add(Finding{Problem: Missing, Object: p.Epoch.Prefix(), Detail: fmt.Sprintf("%s names its checkpoint of %d leaves, and the epoch is not there", object, p.Size)})
			continue
		}
		if h, there := r.Epochs[at].heads[p.Size]; !there || h.root != p.Root {
			r.add(Finding{Problem: Unlinked, Object: object, Detail: fmt.Sprintf("it names a checkpoint of epoch %s of %d leaves with root %s, which that epoch has not", p.Epoch, p.Size, p.Root)})
		}
	}
	for i, e := range r.Epochs {
		if i < len(r.Epochs)-1 && !named[e.Epoch] && e.Size > 0 && !beside(e, r.Epochs[i+1]) {
			r.add(Finding{Problem: Unlinked, Object: e.Epoch.Prefix(), Detail: "no later epoch names it"})
		}
	}
}

// together is how long apart the first checkpoints of two regions may be that were set up at once, and know nothing of each
// other's yet.
const together = 15 * time.Minute

// beside says that two epochs began at about the same time, as those of two regions do that are set up at once.
func beside(a, b Epoch) bool {
	at := func(e Epoch) time.Time { return e.heads[e.first.Size].at }
	return at(b).Sub(at(a)).Abs() <= together
}

// lag is how long one store's log may be behind the other's: it may have been away.
const lag = time.Hour

// Compare holds two stores' logs against each other, both verified at now.
func Compare(a, b Report, now time.Time) []Finding {
	var out []Finding
	for _, ea := range a.Epochs {
		at := slices.IndexFunc(b.Epochs, func(e Epoch) bool { return e.Epoch == ea.Epoch })
		if at < 0 {
			out = append(out, behind(b.Store, a.Store, Epoch{Epoch: ea.Epoch}, ea, now)...)
			continue
		}
		eb := b.Epochs[at]
		for size, h := range ea.heads {
			if other, there := eb.heads[size]; there && other.root != h.root {
				out = append(out, Finding{
					Store: a.Store + ", " + b.Store, Problem: Diverged, Object: ea.Epoch.Prefix(),
					Detail: fmt.Sprintf("at %d leaves the root is %s in %s and %s in %s", size, h.root, a.Store, other.root, b.Store),
				})
			}
		}
		out = append(out, behind(b.Store, a.Store, eb, ea, now)...)
		out = append(out, behind(a.Store, b.Store, ea, eb, now)...)
	}
	for _, eb := range b.Epochs {
		if !slices.ContainsFunc(a.Epochs, func(e Epoch) bool { return e.Epoch == eb.Epoch }) {
			out = append(out, behind(a.Store, b.Store, Epoch{Epoch: eb.Epoch}, eb, now)...)
		}
	}
	slices.SortFunc(out, func(x, y Finding) int {
		return slices.Compare([]string{x.Object, x.Detail}, []string{y.Object, y.Detail})
	})
	return out
}

// behind tells that one store's log ends long before the other's.
func behind(who, other string, short, long Epoch, now time.Time) []Finding {
	next := int64(-1)
	for size := range long.heads {
		if size > short.Size && (next < 0 || size < next) {
			next = size
		}
	}
	if next < 0 || now.Sub(long.heads[next].at) < lag {
		return nil
	}
	return []Finding{{
		Store: who, Problem: Behind, Object: short.Epoch.Prefix(),
		Detail: fmt.Sprintf("the log ends at %d leaves; in %s it has %d, and was longer since %s", short.Size, other, long.Size, long.heads[next].at.Format(time.RFC3339)),
	}}
}
