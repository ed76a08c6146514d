package seal

import (
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
)

// last returns the last checkpoint of the present epoch in a store.
func last(w *world, t tier.Tier) (checkpoint.Checkpoint, int64, error) {
	note, serial, err := audit.Last(w.Context(), w.stores[t], w.epoch(), 0)
	if err != nil || serial == 0 {
		return checkpoint.Checkpoint{}, serial, err
	}
	c, err := w.keys.Open(note)
	return c, serial, err
}
