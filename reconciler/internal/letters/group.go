package letters

import (
	"slices"
	"time"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// Group is what counts as one dead letter.
type Group struct {
	Letters []Letter // at least one, oldest first
}

// Shown is the letter that stands for the group: the newest.
func (g Group) Shown() Letter { return g.Letters[len(g.Letters)-1] }

// Filter chooses groups by the letter that is shown for them. Zero fields choose all.
type Filter struct {
	Tier   tier.Tier
	Reason queue.Reason
	Source string
	Since  time.Time // given up at this time or later
	IDs    []string  // idempotency keys
	Limit  int       // at most so many groups, the oldest; 0: all
}

// Choose returns the groups that pass the filter.
func (f Filter) Choose(groups []Group) []Group {
	var out []Group
	for _, g := range groups {
		if f.Limit > 0 && len(out) == f.Limit {
			break
		}
		if f.passes(g.Shown()) {
			out = append(out, g)
		}
	}
	return out
}

func (f Filter) passes(l Letter) bool {
	switch {
	case f.Tier != "" && l.Tier != f.Tier,
		f.Reason != "" && l.Reason != f.Reason,
		f.Source != "" && l.Source != f.Source,
		!f.Since.IsZero() && l.DeadAt.Before(f.Since),
		len(f.IDs) > 0 && !slices.Contains(f.IDs, l.IdempotencyKey):
		return false
	}
	return true
}

// group puts letters, given in the stream's order, together by tier and recording. The groups are in the order of the
// letters that are shown for them.
func group(list []Letter) []Group {
	type name struct {
		tier tier.Tier
		key  string
	}
	var out []Group
	at := map[name]int{}
	for _, l := range list {
		n := name{l.Tier, l.IdempotencyKey}
		i, known := at[n]
		switch {
		case single(l):
			out = append(out, Group{[]Letter{l}})
		case known:
			out[i].Letters = append(out[i].Letters, l)
		default:
			at[n] = len(out)
			out = append(out, Group{[]Letter{l}})
		}
	}
	slices.SortFunc(out, func(a, b Group) int {
		if a.Shown().Sequence < b.Shown().Sequence {
			return -1
		}
		return 1
	})
	return out
}

// single says that a letter is never put together with others.
func single(l Letter) bool {
	return l.Reason == queue.DigestConflict || l.IdempotencyKey == ""
}

// Standing returns of all letters of one recording, oldest first, those that stand for them; never nil.
func Standing(full []Full) []Letter {
	list := make([]Letter, len(full))
	for i, f := range full {
		list[i] = f.Letter
	}
	return Shown(group(list))
}

// Shown returns the letters that stand for the groups; never nil.
func Shown(groups []Group) []Letter {
	out := make([]Letter, 0, len(groups))
	for _, g := range groups {
		out = append(out, g.Shown())
	}
	return out
}
