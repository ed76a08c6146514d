package cli

import (
	"testing"

	"github.com/twinreel/twinreel/reconciler/internal/plan"
)

// Whoever is told to approve a plan is told how to ask for that very run.
func TestTheHintHasTheFlagsOfTheRun(t *testing.T) {
	for _, c := range []struct {
		scope   plan.Scope
		shorter bool
		want    string
	}{
		{plan.Full, false, ""},
		{plan.New, false, " --new"},
		{plan.Deep, false, " --deep"},
		{plan.Full, true, " --accept-shorter"},
		{plan.Deep, true, " --deep --accept-shorter"},
	} {
		if got := again(c.scope, onceFlags{shorter: c.shorter}); got != c.want {
			t.Errorf("%s, %v: %q, want %q", c.scope, c.shorter, got, c.want)
		}
	}
}
