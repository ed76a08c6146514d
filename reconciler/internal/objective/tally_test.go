package objective

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/tier"
)

// start is in the middle of an hour and of a day.
var start = time.Date(2026, 11, 23, 10, 30, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return start.Add(d) }

func TestARecordingIsJudgedByItsSecondVerifiedCopy(t *testing.T) {
	const never = -1
	for name, c := range map[string]struct {
		primary, backup time.Duration // after the acknowledgement
		unverified      bool          // backup's copy
		missed          bool
		reason          string
	}{
		"both at once":         {time.Second, time.Second, false, false, ""},
		"just in time":         {Limit, time.Second, false, false, ""},
		"a moment late":        {time.Second, Limit + time.Second, false, true, "backup: after 15m1s"},
		"never in primary":     {never, time.Second, false, true, "primary: no copy"},
		"in neither":           {never, never, false, true, "primary: no copy; backup: no copy"},
		"without its checksum": {time.Second, time.Second, true, true, "backup: a copy, but its store has no checksum for it"},
	} {
		t.Run(name, func(t *testing.T) {
			tally := NewTally(start)
			tally.Acknowledged("rec", start)
			if c.primary != never {
				tally.Verified("rec", tier.Primary, after(c.primary), true)
			}
			if c.backup != never {
				tally.Verified("rec", tier.Backup, after(c.backup), !c.unverified)
			}
			tally.Judge(after(Limit - time.Second))
			if r := tally.Report(); r.Waiting != 1 || len(r.Days) != 0 {
				t.Errorf("judged too early: %+v", r)
			}
			tally.Judge(after(Limit))
			r := tally.Report()
			if r.Waiting != 0 || len(r.Days) != 1 || len(r.Hours) != 1 || r.Days[0].Recordings != 1 || r.Hours[0].From != start.Truncate(time.Hour) {
				t.Fatalf("got %+v", r)
			}
			if missed := len(r.Missed) == 1; missed != c.missed || r.Days[0].Missed != len(r.Missed) || r.Hours[0].Missed != len(r.Missed) {
				t.Fatalf("got %+v", r)
			}
			if c.missed && (r.Missed[0].Reason != c.reason || r.Missed[0].IdempotencyKey != "rec" || r.Days[0].Share != 0) {
				t.Errorf("got %+v, want %q", r.Missed[0], c.reason)
			}
		})
	}
}

func TestRepeatedWebhooksAndCopiesCountOnce(t *testing.T) {
	tally := NewTally(start)
	tally.Verified("rec", tier.Primary, after(0), true) // seen before the event that it follows
	for range 3 {
		tally.Acknowledged("rec", after(time.Second))
		tally.Verified("rec", tier.Primary, after(time.Minute), true)
		tally.Verified("rec", tier.Backup, after(time.Minute), true)
		tally.Verified("rec", tier.Backup, after(time.Hour), true)
	}
	tally.Judge(after(time.Hour))
	if r := tally.Report(); r.Days[0].Recordings != 1 || r.Days[0].Missed != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestCopiesOfOlderRecordingsAreNoAcknowledgements(t *testing.T) {
	tally := NewTally(start)
	tally.Acknowledged("old", after(-time.Hour))
	tally.Verified("old", tier.Primary, after(time.Minute), true)
	tally.Verified("older", tier.Backup, after(-time.Minute), true)
	tally.Judge(after(time.Hour))
	if r := tally.Report(); len(r.Days) != 0 || r.Waiting != 0 || len(tally.open) != 0 {
		t.Errorf("got %+v, holds %d", r, len(tally.open))
	}
}

// What comes to be known late, since NATS was away, must not stay a miss; what came late stays one, and says when it came.
func TestAMissIsTakenBackWhenTheCopyWasThereInTime(t *testing.T) {
	tally := NewTally(start)
	for _, key := range []string{"told late", "came late"} {
		tally.Acknowledged(key, start)
		tally.Verified(key, tier.Primary, after(time.Second), true)
	}
	tally.Judge(after(time.Hour))
	if r := tally.Report(); r.Days[0].Missed != 2 {
		t.Fatalf("got %+v", r)
	}
	tally.Verified("told late", tier.Backup, after(Limit), true)
	tally.Verified("came late", tier.Backup, after(50*time.Minute), true)
	r := tally.Report()
	if r.Days[0].Missed != 1 || r.Hours[0].Missed != 1 || len(r.Missed) != 1 || r.Missed[0].Reason != "backup: after 50m0s" || r.Missed[0].BackupAt == nil {
		t.Errorf("got %+v", r)
	}
}

func TestHoursAndDaysAreUTCAndKeptForTheirTime(t *testing.T) {
	tally := NewTally(start)
	for n := range 40 * 24 {
		at := after(time.Duration(n) * time.Hour)
		tally.Acknowledged(fmt.Sprint(n), at)
		tally.Judge(at.Add(Limit))
	}
	r := tally.Report()
	if len(r.Hours) < 48 || len(r.Hours) > 50 || len(r.Days) < 31 || len(r.Days) > 32 || !r.Days[0].From.After(r.Days[1].From) {
		t.Errorf("%d hours, %d days", len(r.Hours), len(r.Days))
	}
	if d := r.Days[1]; d.Recordings != 24 || d.Missed != 24 || d.From != d.From.Truncate(24*time.Hour) {
		t.Errorf("a whole day: %+v", d)
	}
	if oldest := r.Missed[len(r.Missed)-1].AcknowledgedAt; tally.now.Sub(oldest) > keepDays {
		t.Errorf("lists a miss of %v", oldest)
	}
}

func TestMemoryIsBoundWhateverIsMissed(t *testing.T) {
	tally := NewTally(start)
	const n = maxMissed + 500
	for i := range n {
		tally.Acknowledged(fmt.Sprint(i), after(time.Duration(i)*time.Millisecond))
	}
	tally.Judge(after(time.Hour))
	r := tally.Report()
	if len(r.Missed) != maxMissed || r.MissedUnlisted != 500 || r.Days[0].Missed != n || len(tally.oldest) != maxMissed {
		t.Errorf("lists %d, not %d, of %d", len(r.Missed), r.MissedUnlisted, r.Days[0].Missed)
	}
	if !strings.HasPrefix(r.Missed[0].IdempotencyKey, fmt.Sprint(n-1)) {
		t.Errorf("the newest is %s", r.Missed[0].IdempotencyKey)
	}
}
