package backlog

import (
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/tier"
)

func TestATiersStateIsWhatMostOfItsWorkersSay(t *testing.T) {
	early, late := time.Unix(100, 0), time.Unix(200, 0)
	well := tier.View{State: tier.Healthy, Weight: 1, Since: late}
	sick := tier.View{State: tier.Degraded, Reason: "3 failures in a row", Since: early}
	open := tier.View{State: tier.Healthy, Weight: 0, Reason: "the breaker is open", Since: early}
	half := tier.View{State: tier.Healthy, Weight: 0.5, Reason: "the breaker is half-open", Since: early}
	denied := tier.View{State: tier.Parked, Reason: "denied", Since: early}
	for name, c := range map[string]struct {
		views                  []tier.View
		pause                  *tier.Pause
		state, reason, breaker string
		weight                 float64
		since                  time.Time
	}{
		"nobody tells":           {state: "unknown", weight: 1},
		"all well":               {views: []tier.View{well, well}, state: "healthy", weight: 1, since: late, breaker: "closed"},
		"one of three is not":    {views: []tier.View{well, sick, well}, state: "healthy", reason: "3 failures in a row (1 of 3)", weight: 2.0 / 3, since: late},
		"half of them are not":   {views: []tier.View{well, sick}, state: "degraded", reason: "3 failures in a row (1 of 2)", weight: 0.5, since: early},
		"the only one is not":    {views: []tier.View{sick}, state: "degraded", reason: "3 failures in a row", since: early},
		"its breaker is open":    {views: []tier.View{open}, state: "healthy", reason: "the breaker is open", breaker: "open", since: early},
		"one is half-open":       {views: []tier.View{well, half}, state: "healthy", weight: 0.75, reason: "the breaker is half-open (1 of 2)", breaker: "half-open", since: early},
		"denied":                 {views: []tier.View{denied, denied}, state: "parked", reason: "denied", since: early},
		"denied and sick":        {views: []tier.View{denied, sick}, state: "parked", reason: "3 failures in a row (1 of 2); denied (1 of 2)", since: early},
		"paused wins":            {views: []tier.View{well}, pause: &tier.Pause{Reason: "move", Since: early}, state: "paused", reason: "move", breaker: "closed", since: early},
		"paused, nobody tells":   {pause: &tier.Pause{Reason: "move", Since: early}, state: "paused", reason: "move", since: early},
		"slow before it fails":   {views: []tier.View{{State: tier.Healthy, Weight: 0.5, Reason: "slow", Since: late}}, state: "healthy", reason: "slow", weight: 0.5, since: late, breaker: "closed"},
		"a state of some future": {views: []tier.View{{State: "asleep", Since: late}}, state: "degraded"},
	} {
		t.Run(name, func(t *testing.T) {
			s := tier.Standing{Views: map[string]tier.View{}, Pause: c.pause}
			for i, v := range c.views {
				s.Views[string(rune('a'+i))] = v
			}
			var got Tier
			got.stand(s)
			if got.State != c.state || got.Reason != c.reason || got.Breaker != c.breaker || got.Weight != c.weight || got.Instances != len(c.views) {
				t.Errorf("got %+v, want %+v", got, c)
			}
			if (got.Since == nil) != c.since.IsZero() || got.Since != nil && !got.Since.Equal(c.since) {
				t.Errorf("since %v, want %v", got.Since, c.since)
			}
		})
	}
}
