package inventory

import (
	"testing"

	"github.com/twinreel/twinreel/reconciler/internal/capacity"
)

// How long listings take is reckoned by package capacity, with numbers of its own.
func TestCapacityPlansWithAsManyRangesAtOnce(t *testing.T) {
	if ahead != capacity.RangesAtOnce {
		t.Errorf("%d ranges are listed side by side, capacity plans with %d", ahead, capacity.RangesAtOnce)
	}
}
