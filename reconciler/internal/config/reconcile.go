package config

import (
	"time"

	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
)

// Once is for the command that makes one run.
type Once struct {
	NATS      queue.Config
	Redis     redisledger.Config
	Stores    Stores
	Reconcile Reconcile
	Retention Retention
	Repair    Repair
	Seal      Seal
}

// Reconcile is when runs are made, and by what they judge.
type Reconcile struct {
	Interval time.Duration `env:"TWINREEL_RECONCILE_INTERVAL" envDefault:"1h" meaning:"how often what is new and still open is looked at, by Stat"`
	Full     time.Duration `env:"TWINREEL_FULL_INTERVAL" envDefault:"24h" meaning:"how often whole inventories are compared"`
	Grace    time.Duration `env:"TWINREEL_RECONCILE_GRACE" envDefault:"15m" meaning:"a recording accepted less than so long ago is not yet missing"`
	Resolver string        `env:"TWINREEL_RESOLVER_URL" meaning:"as the workers have it: whether they can ask the platform for a fresh link"`
}

// Check implements settings.Checker.
func (r *Reconcile) Check() []settings.Problem {
	var out []settings.Problem
	for _, c := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{{"TWINREEL_RECONCILE_INTERVAL", r.Interval, time.Second}, {"TWINREEL_FULL_INTERVAL", r.Full, time.Second}, {"TWINREEL_RECONCILE_GRACE", r.Grace, 0}} {
		if c.value < c.least {
			out = append(out, settings.Problem{Variable: c.name, Text: "want at least " + c.least.String()})
		}
	}
	return out
}
