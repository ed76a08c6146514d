package config

import (
	"net"
	"time"

	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/service"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
)

// Run is for the command that runs in the foreground.
type Run struct {
	Service service.Config
	NATS    queue.Config
	Redis   redisledger.Config
	Stores  Stores
	API     API
	Repair  Repair
	Scrub   Scrub
	Audit   Audit

	Reconcile Reconcile
	Retention Retention
	Lead      Lead
}

// Lead is who of several instances leads.
type Lead struct {
	Standby bool `env:"TWINREEL_STANDBY" envDefault:"false" meaning:"lead only while no other instance does that is no standby: of two regions, the reconciler that sits in its own"`
}

// Stores are the two stores, which the reconciler only reads, but for the audit log.
type Stores struct {
	S3    s3store.Config
	Azure azstore.Config
}

// Primary is for commands that read one store alone.
type Primary struct {
	S3 s3store.Config
}

// Backup is for commands that read one store alone.
type Backup struct {
	Azure azstore.Config
}

// AuditKey is the audit log's key where it is only read: the public half is in it.
type AuditKey struct {
	Key settings.Secret `env:"TWINREEL_AUDIT_KEY" meaning:"key that signs the audit log, as made by reconciler audit keygen; further lines: keys of before, or their verifier keys"`
}

// API is how the record API is served.
type API struct {
	Addr  string          `env:"TWINREEL_API_ADDR" envDefault:"127.0.0.1:8081" meaning:"address of the record API; another than a loopback one needs a token"`
	Token settings.Secret `env:"TWINREEL_API_TOKEN" meaning:"bearer token of the API; several at once, one a line; unset: loopback only, read only"`
}

// Check implements settings.Checker.
func (a *API) Check() []settings.Problem {
	if err := service.CheckAddr(a.Addr); err != nil {
		return []settings.Problem{{Variable: "TWINREEL_API_ADDR", Text: err.Error()}}
	}
	if a.Token.IsSet() || loopback(a.Addr) {
		return nil
	}
	return []settings.Problem{{Variable: "TWINREEL_API_TOKEN", Text: "is required, since TWINREEL_API_ADDR is no loopback address such as 127.0.0.1:8081"}}
}

// loopback reports whether only this machine can reach the address.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Repair bounds what the reconciler does by itself.
type Repair struct {
	Rate float64 `env:"TWINREEL_REPAIR_RATE" envDefault:"50" meaning:"recordings looked at, or sent again, per second"`
}

// Check implements settings.Checker.
func (r *Repair) Check() []settings.Problem {
	if r.Rate <= 0 {
		return []settings.Problem{{Variable: "TWINREEL_REPAIR_RATE", Text: "want more than 0"}}
	}
	return nil
}

// Scrub bounds the reading back of what the stores hold.
type Scrub struct {
	Period time.Duration  `env:"TWINREEL_SCRUB_PERIOD" envDefault:"720h" meaning:"each copy is read back and hashed once in so long, if the budget does"`
	Budget settings.Bytes `env:"TWINREEL_SCRUB_BYTES_PER_HOUR" envDefault:"10GiB" meaning:"bytes read back in an hour, of both tiers together"`
}

// Least of what Scrub takes.
const (
	minScrubPeriod = time.Minute
	minScrubBudget = 1 << 20
)

// Check implements settings.Checker.
func (s *Scrub) Check() []settings.Problem {
	var out []settings.Problem
	if s.Period < minScrubPeriod {
		out = append(out, settings.Problem{Variable: "TWINREEL_SCRUB_PERIOD", Text: "want at least " + minScrubPeriod.String()})
	}
	if s.Budget < minScrubBudget {
		out = append(out, settings.Problem{Variable: "TWINREEL_SCRUB_BYTES_PER_HOUR", Text: "want at least " + settings.Bytes(minScrubBudget).String()})
	}
	return out
}

// Audit is what the compliance log is signed with.
type Audit struct {
	Key settings.Secret `env:"TWINREEL_AUDIT_KEY" required:"true" meaning:"key that signs the audit log, as made by reconciler audit keygen; further lines: keys of before, or their verifier keys"`
}

// Check implements settings.Checker.
func (a *Audit) Check() []settings.Problem {
	if !a.Key.IsSet() {
		return nil // said already
	}
	keys, err := a.Keys()
	if err != nil || !keys.CanSign() {
		return []settings.Problem{{Variable: "TWINREEL_AUDIT_KEY", Text: "want a private key as made by reconciler audit keygen"}}
	}
	return nil
}

// Seal is Audit for a command that seals only where it has the key.
type Seal struct {
	Key settings.Secret `env:"TWINREEL_AUDIT_KEY" meaning:"key that signs the audit log, as made by reconciler audit keygen"`
}

// Check implements settings.Checker.
func (s *Seal) Check() []settings.Problem { return (&Audit{Key: s.Key}).Check() }

// Keys returns the keys as they are now.
func (s *Seal) Keys() (checkpoint.Keys, error) { return (&Audit{Key: s.Key}).Keys() }

// Keys returns the keys as they are now: the file may have changed.
func (a *Audit) Keys() (checkpoint.Keys, error) { return checkpoint.ParseKeys(a.Key.Lines()) }
