package redisledger_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/testenv"
)

func TestInspectTellsHowARealServerIsSetUp(t *testing.T) {
	w := open(t)
	s, err := w.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Version == "" || s.Eviction != "noeviction" || s.AppendOnly != "1" || s.Sync == "" || !s.SaveTold || s.Role != "master" {
		t.Errorf("got %+v", s)
	}
	at, err := w.Clock(t.Context())
	if err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("clock: %v, %v", at, err)
	}
}

// Providers refuse CONFIG: what only it tells is then not told, and all else is.
func TestInspectGoesWithoutConfig(t *testing.T) {
	w := open(t)
	user := "doctor" + w.prefix
	if err := w.raw.Do(t.Context(), "ACL", "SETUSER", user, "on", ">pw", "~*", "+info", "+time", "+ping").Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.raw.Do(t.Context(), "ACL", "DELUSER", user) })
	o, err := redis.ParseURL(testenv.Need(t, testenv.RedisURL))
	if err != nil {
		t.Fatal(err)
	}
	l, err := redisledger.Open(redisledger.Config{URL: "redis://" + user + ":pw@" + o.Addr + "/0", Prefix: w.prefix, TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := l.Inspect(t.Context())
	if err != nil || s.Eviction != "noeviction" || s.AppendOnly != "1" || s.Sync != "" || s.SaveTold {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestInspectIsAFaultOfTheLedgerWhereRedisIsAway(t *testing.T) {
	l, err := redisledger.Open(redisledger.Config{URL: "redis://127.0.0.1:1/0", Prefix: "t", TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Inspect(t.Context()); !fault.Is(err, fault.Unavailable, fault.Ledger) {
		t.Errorf("got %v", err)
	}
	if _, err := l.Clock(t.Context()); !fault.Is(err, fault.Unavailable, fault.Ledger) {
		t.Errorf("got %v", err)
	}
}
