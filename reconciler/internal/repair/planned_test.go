package repair

import (
	"testing"

	"github.com/twinreel/twinreel/reconciler/internal/capacity"
)

// How long entries live is reckoned by package capacity, with numbers of its own.
func TestCapacityPlansWithAsManyConfirmedAtOnce(t *testing.T) {
	if sideBySide != capacity.ConfirmsAtOnce || markerLife != capacity.MarkLife {
		t.Errorf("%d side by side, marks live %v; capacity plans with %d and %v", sideBySide, markerLife, capacity.ConfirmsAtOnce, capacity.MarkLife)
	}
}
