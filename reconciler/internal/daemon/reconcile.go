package daemon

import (
	"time"

	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/plan"
	"github.com/twinreel/twinreel/reconciler/internal/reconcile"
)

// Reconciling is what the settings say of runs.
func Reconciling(c config.Reconcile, r config.Repair) reconcile.Parts {
	return reconcile.Parts{
		Rules: plan.Rules{Grace: c.Grace, Retention: time.Duration(c.Retention) * 24 * time.Hour, Resolver: c.Resolver != ""},
		Every: c.Full, Rate: r.Rate, Sealed: reconcile.Nothing,
	}
}
