package fetch

import (
	"testing"

	"github.com/twinreel/twinreel/reconciler/internal/capacity"
)

// How fast the log is sealed is reckoned by package capacity, with numbers of its own.
func TestCapacityPlansWithAsManyAtOnce(t *testing.T) {
	if Side != capacity.SealedAtOnce {
		t.Errorf("%d requests are made side by side, capacity plans with %d", Side, capacity.SealedAtOnce)
	}
}
