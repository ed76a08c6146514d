package plan

import (
	"math"
	"testing"
)

func TestAFullRunHasToDoWithAsManyAsTheLastOrAsTheStreamHolds(t *testing.T) {
	for name, c := range map[string]struct {
		last   Last
		events uint64
		want   int64
	}{
		"the first run":      {Last{}, 7, 7},
		"a store of many":    {Last{Primary: 200, Backup: 300}, 7, 150},
		"more have come":     {Last{Primary: 200, Backup: 300}, 151, 151},
		"more than there is": {Last{}, math.MaxUint64, math.MaxInt64},
	} {
		if got := c.last.recordings(c.events); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
