package tier_test

import (
	"testing"

	"github.com/twinreel/twinreel/pkg/tier"
)

func TestATiersWeightIsTheMeanOfItsLiveWorkers(t *testing.T) {
	well := tier.View{State: tier.Healthy, Weight: 1}
	slow := tier.View{State: tier.Healthy, Weight: 0.5}
	sick := tier.View{State: tier.Degraded, Weight: 0.5}
	out := tier.View{State: tier.Parked, Weight: 1}
	for name, c := range map[string]struct {
		views []tier.View
		pause *tier.Pause
		want  float64
	}{
		"nobody says anything":                    {nil, nil, 1},
		"all well":                                {[]tier.View{well, well}, nil, 1},
		"one bad node does not condemn the tier":  {[]tier.View{well, well, well, sick}, nil, 0.75},
		"slow before it fails":                    {[]tier.View{slow, well}, nil, 0.75},
		"degraded counts nothing, whatever it is": {[]tier.View{sick}, nil, 0},
		"parked counts nothing, whatever it says": {[]tier.View{out, out}, nil, 0},
		"more than 1 is 1":                        {[]tier.View{{State: tier.Healthy, Weight: 7}}, nil, 1},
		"paused wins":                             {[]tier.View{well}, &tier.Pause{Reason: "move"}, 0},
		"paused wins over silence":                {nil, &tier.Pause{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := tier.Standing{Views: map[string]tier.View{}, Pause: c.pause}
			for i, v := range c.views {
				s.Views[string(rune('a'+i))] = v
			}
			if got := s.Weight(); got != c.want {
				t.Errorf("weight %v, want %v", got, c.want)
			}
		})
	}
}
