package plan

import (
	"testing"

	"github.com/twinreel/twinreel/reconciler/internal/capacity"
)

// How long a run takes is reckoned by package capacity, with numbers of its own.
func TestCapacityPlansWithAsManyLooksAtOnce(t *testing.T) {
	if sideBySide != capacity.LooksAtOnce {
		t.Errorf("%d subjects are looked at side by side, capacity plans with %d", sideBySide, capacity.LooksAtOnce)
	}
}
