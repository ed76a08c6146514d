package scrub

import (
	"testing"

	"github.com/twinreel/twinreel/reconciler/internal/capacity"
)

// How fast one scrubber reads is reckoned by package capacity, with numbers of its own.
func TestCapacityPlansWithPiecesAsLarge(t *testing.T) {
	if piece != capacity.PartBytes {
		t.Errorf("pieces have %d bytes, capacity plans with %d", piece, capacity.PartBytes)
	}
}
