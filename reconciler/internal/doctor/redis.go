package doctor

import (
	"context"
	"time"

	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
)

// Redis is the part that saves work.
type Redis struct {
	Ledger interface {
		Inspect(ctx context.Context) (redisledger.Setup, error)
		Clock(ctx context.Context) (time.Time, error)
	}
}

// Examine implements Part.
func (r Redis) Examine(ctx context.Context) []Check {
	s, err := r.Ledger.Inspect(ctx)
	if err != nil {
		return Away("redis", err)
	}
	first := reachable("redis").pass("Redis %s", s.Version)
	if s.Role != "" && s.Role != "master" {
		first = reachable("redis").fail("point TWINREEL_REDIS_URL at the master, or set TWINREEL_REDIS_SENTINELS", "it is a %s, which takes no writes", s.Role)
	}
	return []Check{first, eviction(s), persistence(s), clock(ctx, "redis", r.Ledger.Clock)}
}

func eviction(s redisledger.Setup) Check {
	q := question{"redis.eviction", "maxmemory-policy is noeviction", "an evicted claim or record costs a second fetch of the recording, an evicted count its patience"}
	const mend = "CONFIG SET maxmemory-policy noeviction, and in redis.conf"
	switch {
	case s.Eviction == "":
		return q.unknown(mend, "the server does not tell its policy")
	case s.Eviction == "noeviction":
		return q.pass("noeviction")
	case s.MaxMemory == "0":
		return q.warn(mend, "%s; but maxmemory is not bounded, so nothing is evicted now", s.Eviction)
	}
	return q.fail(mend, "%s", s.Eviction)
}

func persistence(s redisledger.Setup) Check {
	q := question{"redis.persistence", "an append-only file, synced each second at least", "Redis is never the only copy of anything; but each restart without it costs a Stat or a fetch of everything in flight, and all counts of attempts"}
	const mend = "CONFIG SET appendonly yes and appendfsync everysec, and in redis.conf"
	switch {
	case s.AppendOnly == "":
		return q.unknown(mend, "the server does not tell")
	case s.AppendOnly == "1" && s.Sync == "no":
		return q.warn(mend, "appendonly yes, but appendfsync no")
	case s.AppendOnly == "1" && s.Sync == "":
		return q.pass("appendonly yes; it does not tell how often it syncs")
	case s.AppendOnly == "1":
		return q.pass("appendonly yes, appendfsync %s", s.Sync)
	case s.SaveTold && s.Save == "":
		return q.fail(mend, "neither an append-only file nor snapshots: a restart forgets all; reconciler ledger rebuild refills it")
	}
	return q.warn(mend, "no append-only file; snapshots (%s) lose what came since the last one", orNotTold(s.Save))
}

func orNotTold(s string) string {
	if s == "" {
		return "not told how often"
	}
	return "save " + s
}
