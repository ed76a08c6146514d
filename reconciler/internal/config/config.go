// Package config is what the reconciler's commands are set up with: one struct for each set of things that a command
// talks to, so that a command needs no setting of anything else.
package config

import (
	"net/url"
	"time"

	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/profile"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
)

// Queue is for commands that talk to NATS alone.
type Queue struct {
	NATS queue.Config
}

// Ledger is for what commands ask of Redis.
type Ledger struct {
	Redis redisledger.Config
}

// Recording is for commands that look for a recording in Redis and in NATS.
type Recording struct {
	NATS  queue.Config
	Redis redisledger.Config
}

// Fetch is for the command that fetches a recording back, which is audited.
type Fetch struct {
	NATS   queue.Config
	Stores Stores
}

// Rebuild is for the command that fills Redis from all others.
type Rebuild struct {
	NATS   queue.Config
	Redis  redisledger.Config
	Stores Stores
}

// Import is for the command that publishes webhooks.
type Import struct {
	NATS    queue.Config
	Webhook profile.Config
}

// Provision is for the command that makes the streams.
type Provision struct {
	NATS  queue.Config
	Sizes queue.Sizes
	Room  Room
}

// Room is what, besides the sizes themselves, decides how large the streams must be and whether they fit.
type Room struct {
	Monitor   string        `env:"TWINREEL_NATS_MONITOR_URL" meaning:"monitoring address of one NATS server, http://host:8222: provision asks it what its disk can hold"`
	LedgerTTL time.Duration `env:"TWINREEL_LEDGER_TTL" envDefault:"168h" meaning:"life of Redis keys, and of sealed audit events in the stream"`
}

// Check implements settings.Checker.
func (r *Room) Check() []settings.Problem {
	var out []settings.Problem
	if r.Monitor != "" {
		u, err := url.Parse(r.Monitor)
		if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
			out = append(out, settings.Problem{Variable: "TWINREEL_NATS_MONITOR_URL", Text: "want http://host:port"})
		}
	}
	if r.LedgerTTL < time.Minute {
		out = append(out, settings.Problem{Variable: "TWINREEL_LEDGER_TTL", Text: "want at least 1m0s"})
	}
	return out
}

// All returns one empty struct of each kind, for the list of all settings.
func All() []any {
	return []any{
		&Queue{},
		&Provision{},
		&Recording{},
		&Fetch{},
		&Run{},
		&Import{},
		&Once{},
		&Register{},
		&Retention{},
		&Webhooks{},
		&Origins{},
		&Rebuild{},
		&Capacity{},
	}
}
