package route

import (
	"math"
	"testing"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

func TestEachTierTakesLiveWhatItsWeightSays(t *testing.T) {
	const n = 20_000
	half := views(slow, slow)
	for name, c := range map[string]struct {
		primary, backup             tier.Standing
		both, primaryOnly, backOnly float64 // shares
	}{
		"nobody says anything":             {nobody, nobody, 1, 0, 0},
		"all well":                         {views(well), views(well, well), 1, 0, 0},
		"primary degraded":                 {views(sick), views(well), 0, 0, 1},
		"primary parked":                   {views(denied, denied), views(well), 0, 0, 1},
		"primary paused":                   {paused, views(well), 0, 0, 1},
		"backup degraded":                  {views(well), views(sick), 0, 1, 0},
		"backup paused, primary silent":    {nobody, paused, 0, 1, 0},
		"both degraded":                    {views(sick), views(sick), 1, 0, 0},
		"both paused":                      {paused, paused, 1, 0, 0},
		"one of four of primary sick":      {views(well, well, well, sick), views(well), 0.75, 0, 0.25},
		"primary slow":                     {half, views(well), 0.5, 0, 0.5},
		"both slow: neither is both":       {half, half, 0.25 + 0.25, 0.25, 0.25},
		"primary down, backup slow":        {views(sick), half, 0.5, 0, 0.5},
		"primary a quarter, backup a half": {views(slow, sick), half, 0.125 + 0.375, 0.125, 0.375},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, plenty)
			f.board.say(c.primary, c.backup)
			f.look()
			got := f.routes(n, nil)
			for r, want := range map[queue.Route]float64{queue.Both: c.both, queue.Primary: c.primaryOnly, queue.Backup: c.backOnly} {
				// Five standard deviations; what is certain has none.
				tolerance := 5 * math.Sqrt(want*(1-want)/n)
				if share := float64(got[r]) / n; math.Abs(share-want) > tolerance {
					t.Errorf("%s: got %.4f, want %.4f±%.4f", r, share, want, tolerance)
				}
			}
		})
	}
}

func TestBeforeTheBoardIsSeenEverythingGoesToBoth(t *testing.T) {
	f := newFixture(t, plenty)
	f.board.say(views(sick), views(well))
	if got := f.routes(10, nil); got[queue.Both] != 10 {
		t.Errorf("got %v", got)
	}
}

func TestOverTheRequestLimitEventsGoToBackupAlone(t *testing.T) {
	for name, c := range map[string]struct {
		primary, backup tier.Standing
		within, over    queue.Route
		takes           bool // tokens
	}{
		"both well":                    {views(well), views(well), queue.Both, queue.Backup, true},
		"nobody says anything":         {nobody, nobody, queue.Both, queue.Backup, true},
		"backup degraded":              {views(well), views(sick), queue.Primary, queue.Primary, true},
		"backup paused":                {views(well), paused, queue.Primary, queue.Primary, true},
		"both down":                    {views(sick), views(sick), queue.Both, queue.Both, true},
		"what goes to backup is free":  {views(sick), views(well), queue.Backup, queue.Backup, false},
		"nor what a pause sends there": {paused, nobody, queue.Backup, queue.Backup, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Config{RequestLimit: 1, LimitShare: 1e-9}) // one token, and never another
			f.board.say(c.primary, c.backup)
			f.look()
			if got := f.Route(nil); got != c.within {
				t.Errorf("within the limit: %s, want %s", got, c.within)
			}
			if full := f.bucket.tokens.TokensAt(f.Now()) > 0.5; full == c.takes {
				t.Errorf("the bucket is full: %v", full)
			}
			if got := f.Route(nil); got != c.over {
				t.Errorf("over the limit: %s, want %s", got, c.over)
			}
		})
	}
}

func TestWithBackupSlowTheExcessStillGoesThere(t *testing.T) {
	f := newFixture(t, Config{RequestLimit: 1, LimitShare: 1e-9})
	f.board.say(views(well), views(slow))
	f.look()
	f.Route(nil)
	if got := f.routes(1000, nil); got[queue.Backup] != 1000 {
		t.Errorf("got %v", got)
	}
}
