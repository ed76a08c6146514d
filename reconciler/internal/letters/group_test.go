package letters

import (
	"slices"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

func letter(seq uint64, t tier.Tier, key string, r queue.Reason) Letter {
	return Letter{
		Sequence: seq, Tier: t, IdempotencyKey: key, RecordingID: key, Source: "default", Reason: r, EventID: "e",
		DeadAt: time.Unix(int64(seq)*60, 0).UTC(),
	}
}

func sequences(groups []Group) [][]uint64 {
	var out [][]uint64
	for _, g := range groups {
		var one []uint64
		for _, l := range g.Letters {
			one = append(one, l.Sequence)
		}
		out = append(out, one)
	}
	return out
}

func TestGroupPutsLettersOfOneTierAndRecordingTogether(t *testing.T) {
	for _, c := range []struct {
		name string
		list []Letter
		want [][]uint64
	}{
		{"nothing", nil, nil},
		{"one tier and recording", []Letter{
			letter(1, tier.Primary, "a", queue.SourceGone), letter(4, tier.Primary, "a", queue.StoreRefused),
		}, [][]uint64{{1, 4}}},
		{"two tiers", []Letter{
			letter(1, tier.Primary, "a", queue.SourceGone), letter(2, tier.Backup, "a", queue.SourceGone),
		}, [][]uint64{{1}, {2}}},
		{"two recordings, in the order of the newest", []Letter{
			letter(1, tier.Primary, "a", queue.SourceGone), letter(2, tier.Primary, "b", queue.SourceGone),
			letter(3, tier.Primary, "a", queue.SourceGone),
		}, [][]uint64{{2}, {1, 3}}},
		{"contradicting ones stay alone", []Letter{
			letter(1, tier.Primary, "a", queue.SourceGone), letter(2, tier.Primary, "a", queue.DigestConflict),
			letter(3, tier.Primary, "a", queue.DigestConflict), letter(4, tier.Primary, "a", queue.SourceGone),
		}, [][]uint64{{2}, {3}, {1, 4}}},
		{"nameless ones stay alone", []Letter{
			letter(1, tier.Primary, "", queue.InvalidEvent), letter(2, tier.Primary, "", queue.InvalidEvent),
		}, [][]uint64{{1}, {2}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := sequences(group(c.list)); !slices.EqualFunc(got, c.want, slices.Equal) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestFilterJudgesTheShownLetter(t *testing.T) {
	other := letter(5, tier.Backup, "emea/c", queue.SourceGone)
	other.Source = "emea"
	groups := group([]Letter{
		letter(1, tier.Primary, "a", queue.SourceGone), letter(2, tier.Primary, "b", queue.StoreRefused),
		letter(3, tier.Primary, "a", queue.SourceUnusable), letter(4, tier.Backup, "a", queue.SourceGone), other,
	})
	for _, c := range []struct {
		name   string
		filter Filter
		want   [][]uint64
	}{
		{"all", Filter{}, [][]uint64{{2}, {1, 3}, {4}, {5}}},
		{"tier", Filter{Tier: tier.Backup}, [][]uint64{{4}, {5}}},
		{"reason of the newest only", Filter{Reason: queue.SourceGone}, [][]uint64{{4}, {5}}},
		{"source", Filter{Source: "emea"}, [][]uint64{{5}}},
		{"since, inclusive", Filter{Since: time.Unix(4*60, 0)}, [][]uint64{{4}, {5}}},
		{"IDs", Filter{IDs: []string{"b", "emea/c"}}, [][]uint64{{2}, {5}}},
		{"limit takes the oldest", Filter{Limit: 2}, [][]uint64{{2}, {1, 3}}},
		{"limit counts what passes", Filter{Tier: tier.Backup, Limit: 1}, [][]uint64{{4}}},
		{"nothing", Filter{IDs: []string{"c"}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := sequences(c.filter.Choose(groups)); !slices.EqualFunc(got, c.want, slices.Equal) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestShownIsNeverNil(t *testing.T) {
	if got := Shown(nil); got == nil || len(got) != 0 {
		t.Errorf("got %#v, want an empty list that is [] in JSON", got)
	}
}
