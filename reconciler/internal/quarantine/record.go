package quarantine

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/tier"
)

// MaxEvidence is the longest text, in bytes, that is kept as the evidence of one difference, and as a resolution's reason.
const MaxEvidence = 512

// maxDifferences is how many differences one record keeps: more than there are kinds and tiers.
const maxDifferences = 64

// strangerMark begins the name of an object that belongs to no recording. No idempotency key holds a colon.
const strangerMark = "object:"

// Stranger is the name under which an object that belongs to no recording is in quarantine.
func Stranger(objectKey string) string { return strangerMark + objectKey }

// Difference is one thing that is not as it should be, and that nobody mends by overwriting.
type Difference struct {
	Kind      string    `json:"kind"` // as a run's findings are called
	Tier      string    `json:"tier"` // a tier's name, or "all"
	ObjectKey string    `json:"objectKey"`
	Evidence  string    `json:"evidence"` // one line; the same words as long as the same is found
	Since     time.Time `json:"since"`    // when it was first noted with this evidence
	// Read: the bytes were read back. What is found so, and what the store only says, are two findings with evidence of
	// their own: the same copy may show both, again and again.
	Read bool `json:"read,omitempty"`
}

// Record is what is in quarantine of one recording, or of one object that belongs to none.
type Record struct {
	IdempotencyKey string       `json:"idempotencyKey"` // "" for an object that belongs to no recording
	ObjectKey      string       `json:"objectKey"`
	Differences    []Difference `json:"differences"` // by kind, tier and object; none where a letter was discarded and nothing else is wrong
	Since          time.Time    `json:"since"`       // of the first of them
	Resolved       *Resolution  `json:"resolved"`    // null while it is open
	// Discarded are the tiers whose dead letter somebody discarded last: what such a tier lacks is not fetched again.
	Discarded map[tier.Tier]Resolution `json:"discarded,omitempty"`

	revision uint64 // at which it was read
}

// Resolution is a person's word that he has looked: what was noted stays as it is, and counts no more. Of a dead letter that
// was discarded it says that the tier does without.
type Resolution struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// same reports whether o is about the same thing, whatever its evidence.
func (d Difference) same(o Difference) bool {
	return o.Kind == d.Kind && o.Tier == d.Tier && o.ObjectKey == d.ObjectKey && o.Read == d.Read
}

// Has reports whether the difference is noted, with that evidence.
func (r Record) Has(d Difference) bool {
	i := slices.IndexFunc(r.Differences, d.same)
	return i >= 0 && r.Differences[i].Evidence == short(d.Evidence)
}

// Open reports whether nobody has resolved it.
func (r Record) Open() bool { return r.Resolved == nil && len(r.Differences) > 0 }

// Name is what the record is asked for by.
func (r Record) Name() string {
	if r.IdempotencyKey != "" {
		return r.IdempotencyKey
	}
	return Stranger(r.ObjectKey)
}

// note takes in differences. fresh says that one of them was not known, or known with other evidence.
func (r *Record) note(now time.Time, diffs []Difference) (fresh bool) {
	for _, d := range diffs {
		d.Evidence = short(d.Evidence)
		if d.Since.IsZero() {
			d.Since = now
		}
		d.Since = d.Since.UTC()
		i := slices.IndexFunc(r.Differences, d.same)
		switch {
		case i < 0 && len(r.Differences) == maxDifferences:
			continue // evidence enough
		case i < 0:
			r.Differences = append(r.Differences, d)
		case r.Differences[i].Evidence == d.Evidence:
			continue
		default:
			r.Differences[i] = d
		}
		fresh = true
	}
	slices.SortFunc(r.Differences, func(a, b Difference) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Tier, b.Tier), strings.Compare(a.ObjectKey, b.ObjectKey), compareBools(a.Read, b.Read))
	})
	if fresh {
		r.Resolved = nil
	}
	if r.Since.IsZero() && len(r.Differences) > 0 {
		r.Since = slices.MinFunc(r.Differences, func(a, b Difference) int { return a.Since.Compare(b.Since) }).Since
	}
	return fresh
}

// compareBools orders false before true.
func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// short is s as one line of at most MaxEvidence bytes.
func short(s string) string {
	s = fault.Clean(s)
	if len(s) <= MaxEvidence {
		return s
	}
	cut := MaxEvidence
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
