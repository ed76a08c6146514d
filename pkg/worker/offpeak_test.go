package worker

import (
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/settings"
)

func TestOffPeakIsATimeOfDayInItsZone(t *testing.T) {
	for _, c := range []struct {
		span, at string
		want     bool
	}{
		{"22:00-06:00 Europe/Berlin", "2026-01-15T20:59:00Z", false}, // winter: one hour ahead of UTC
		{"22:00-06:00 Europe/Berlin", "2026-01-15T21:00:00Z", true},
		{"22:00-06:00 Europe/Berlin", "2026-01-16T04:59:59Z", true},
		{"22:00-06:00 Europe/Berlin", "2026-01-16T05:00:00Z", false},
		{"22:00-06:00 Europe/Berlin", "2026-07-15T20:00:00Z", true}, // summer: two
		{"22:00-06:00 Europe/Berlin", "2026-07-16T04:00:00Z", false},
		{"09:30-17:00 UTC", "2026-01-15T09:29:00Z", false},
		{"09:30-17:00 UTC", "2026-01-15T12:00:00Z", true},
		{"", "2026-01-15T12:00:00Z", false},
	} {
		o, err := parseOffPeak(c.span)
		at, _ := time.Parse(time.RFC3339, c.at)
		if err != nil || o.contains(at) != c.want {
			t.Errorf("%q at %s: want %v (%v)", c.span, c.at, c.want, err)
		}
	}
}

func TestABadOffPeakIsABadSetting(t *testing.T) {
	for _, s := range []string{"22:00-06:00", "22-06 UTC", "22:00-06:00 Mars/Olympus", "22:00 UTC", "25:00-06:00 UTC", "06:00-06:00 UTC", "always"} {
		h := Health{DegradedAfter: 1, ProbeInterval: time.Second, OffPeak: s}
		if got := h.Check(); len(got) != 1 || got[0].Variable != "TWINREEL_OFFPEAK" || got[0].Text == "" {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func TestBadHealthSettingsAreNamed(t *testing.T) {
	for want, check := range map[string][]settings.Problem{
		"TWINREEL_DEGRADED_AFTER":        (&Health{ProbeInterval: time.Second}).Check(),
		"TWINREEL_PROBE_INTERVAL":        (&Health{DegradedAfter: 1}).Check(),
		"TWINREEL_PRIMARY_REQUEST_LIMIT": (&RequestLimit{Share: 0.5}).Check(),
		"TWINREEL_PRIMARY_LIMIT_SHARE":   (&RequestLimit{Limit: 1, Share: 1.5}).Check(),
	} {
		if len(check) != 1 || check[0].Variable != want {
			t.Errorf("want %s, got %v", want, check)
		}
	}
}
