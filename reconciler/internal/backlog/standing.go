package backlog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/tier"
)

// What a state may be besides those of a worker's view.
const (
	stateUnknown = "unknown" // no worker tells
	statePaused  = "paused"  // an operator's word, which wins
)

// stand takes in what is known of the tier's health. One bad node does not condemn a tier: its state is what most of its
// live workers say, and where fewer are not well the reason says so.
func (t *Tier) stand(s tier.Standing) {
	t.Weight, t.Instances = s.Weight(), len(s.Views)
	t.State = stateUnknown
	views := slices.Collect(maps.Values(s.Views))
	if len(views) > 0 {
		t.State = string(most(views))
		t.Since, t.Reason = since(views, tier.State(t.State)), reason(views)
		t.Breaker = breaker(views)
	}
	if p := s.Pause; p != nil {
		at := p.Since.UTC()
		t.State, t.Reason, t.Since = statePaused, fault.Clean(p.Reason), &at
	}
}

// most is the state of more than half of the views; without a majority it is the worse one.
func most(views []tier.View) tier.State {
	count := map[tier.State]int{}
	for _, v := range views {
		count[v.State]++
	}
	switch {
	case 2*count[tier.Healthy] > len(views):
		return tier.Healthy
	case 2*count[tier.Parked] >= len(views):
		return tier.Parked
	}
	return tier.Degraded
}

// since is when the first of the views came into the state; nil if none is in it.
func since(views []tier.View, state tier.State) *time.Time {
	var first *time.Time
	for _, v := range views {
		if at := v.Since.UTC(); v.State == state && (first == nil || at.Before(*first)) {
			first = &at
		}
	}
	return first
}

// reason gathers what is wrong, each cause once, with how many see it that way if not all do.
func reason(views []tier.View) string {
	count := map[string]int{}
	for _, v := range views {
		if v.Reason != "" {
			count[fault.Clean(v.Reason)]++
		}
	}
	var out []string
	for _, text := range slices.Sorted(maps.Keys(count)) {
		if n := count[text]; n < len(views) {
			text = fmt.Sprintf("%s (%d of %d)", text, n, len(views))
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

// breaker is the state of the workers' breakers as far as their views tell it: a worker that is well has it closed, and
// one whose breaker is not closed says so in its reason.
func breaker(views []tier.View) string {
	for _, state := range []string{"open", "half-open"} { // as pkg/worker words it
		if slices.ContainsFunc(views, func(v tier.View) bool { return strings.Contains(v.Reason, "breaker is "+state) }) {
			return state
		}
	}
	if slices.ContainsFunc(views, func(v tier.View) bool { return v.State != tier.Healthy }) {
		return ""
	}
	return "closed"
}
