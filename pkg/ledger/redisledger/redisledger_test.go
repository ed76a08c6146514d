package redisledger_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/ledger/ledgertest"
	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

const ttl = time.Hour

// world is a ledger under a prefix of its own on the test server, and a client to look behind it.
type world struct {
	*redisledger.Ledger
	raw    *redis.Client
	prefix string
}

func open(t *testing.T) world {
	t.Helper()
	address := testenv.Need(t, testenv.RedisURL)
	o, err := redis.ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	w := world{raw: redis.NewClient(o), prefix: "test-" + rand.Text()}
	w.Ledger, err = redisledger.Open(redisledger.Config{URL: address, Prefix: w.prefix, TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.forget(t)
		w.Close()
		w.raw.Close()
	})
	return w
}

func (w world) key(id, rest string) string { return w.prefix + ":{" + id + "}:" + rest }

// keys lists all keys under the prefix.
func (w world) keys(ctx context.Context, t *testing.T) []string {
	t.Helper()
	var out []string
	all := w.raw.Scan(ctx, 0, w.prefix+":*", 1000).Iterator()
	for all.Next(ctx) {
		out = append(out, all.Val())
	}
	if err := all.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// forget is FLUSHALL for this test alone: others use the same server.
func (w world) forget(t *testing.T) {
	ctx := context.WithoutCancel(t.Context()) // it also tidies up after the test
	if keys := w.keys(ctx, t); len(keys) > 0 {
		if err := w.raw.Del(ctx, keys...).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// pass shortens the life of a lease by d.
func (w world) pass(t *testing.T, id string, tr tier.Tier, d time.Duration) {
	t.Helper()
	key := w.key(id, "claim:"+tr.String())
	left, err := w.raw.PTTL(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	if left <= 0 || left > ledger.LeaseTime {
		return // there is no lease
	}
	if err := w.raw.PExpire(t.Context(), key, max(0, left-d)).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestRedis(t *testing.T) {
	w := open(t)
	ledgertest.Run(t, func(t *testing.T) ledgertest.Driver {
		return ledgertest.Driver{Ledger: w, Pass: w.pass, Forget: w.forget}
	})
}

func stored(t tier.Tier) ledger.Copy {
	return ledger.Copy{RecordingID: "rec-1", ReceivedAt: time.Now(), SHA256: "ab", Size: 3, Stored: ledger.Stored{Bucket: "b-" + t.String(), Timestamp: time.Now()}}
}

// value returns a string key's value.
func (w world) value(t *testing.T, rest string) string {
	t.Helper()
	v, err := w.raw.Get(t.Context(), w.key("west/rec-1", rest)).Result()
	if err != nil {
		t.Fatalf("%s: %v", rest, err)
	}
	return v
}

func (w world) life(t *testing.T, key string) time.Duration {
	t.Helper()
	d, err := w.raw.PTTL(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestKeysAndValuesAreTheContracts(t *testing.T) {
	w := open(t)
	const id = "west/rec-1"
	c, err := w.Claim(t.Context(), id, tier.Primary)
	if err != nil {
		t.Fatal(err)
	}
	lease := w.value(t, "claim:primary")
	if parts := strings.Split(lease, ":"); len(parts) != 3 || parts[0] != "lease" || len(parts[1]) < 20 || parts[2] != "" {
		t.Errorf("a new claim reads %q", lease)
	}
	if err := c.Lease.Opened(t.Context(), "upload:1"); err != nil {
		t.Fatal(err)
	}
	if got := w.value(t, "claim:primary"); got != lease+"upload:1" {
		t.Errorf("with an upload it reads %q, before %q", got, lease)
	}
	if got := w.value(t, "upload:primary"); got != "upload:1" {
		t.Errorf("the upload reads %q", got)
	}
	if d := w.life(t, w.key(id, "claim:primary")); d > ledger.LeaseTime || d < ledger.LeaseTime-10*time.Second {
		t.Errorf("the lease lives %s", d)
	}
	if _, err := c.Lease.Finish(t.Context(), stored(tier.Primary)); err != nil {
		t.Fatal(err)
	}
	if got := w.value(t, "claim:primary"); got != "done" {
		t.Errorf("finished it reads %q", got)
	}
}

func TestEveryKeyButALeaseLivesForTheTTL(t *testing.T) {
	w := open(t)
	const id = "west/rec-1"
	c, err := w.Claim(t.Context(), id, tier.Primary)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Lease.Opened(t.Context(), "u"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finished(t.Context(), id, tier.Backup, stored(tier.Backup)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Fail(t.Context(), id, tier.Primary, ledger.Message{Stream: "RECORDINGS", Sequence: 9}, ledger.Failure{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := w.Letter(t.Context(), "west/rec-2", tier.Primary, "source_gone"); err != nil {
		t.Fatal(err)
	}
	want := map[string]time.Duration{
		w.key(id, "claim:primary"): ledger.LeaseTime, w.key(id, "upload:primary"): ttl, w.key(id, "claim:backup"): ttl,
		w.key(id, "record"): ttl, w.key(id, "attempts:primary:RECORDINGS:9"): ttl, w.key("west/rec-2", "record"): ttl,
	}
	keys := w.keys(t.Context(), t)
	if len(keys) != len(want) {
		t.Errorf("keys: %v", keys)
	}
	for _, key := range keys {
		if d := w.life(t, key); d > want[key] || d < want[key]-10*time.Second {
			t.Errorf("%s lives %s, want %s", key, d, want[key])
		}
	}
}

func TestAServerThatLostItsScriptsIsGivenThemAgain(t *testing.T) {
	w := open(t)
	for range 2 {
		if err := w.raw.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Fail(t.Context(), "rec-1", tier.Primary, ledger.Message{Stream: "S", Sequence: 1}, ledger.Failure{At: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	a, err := w.Attempts(t.Context(), "rec-1", tier.Primary, ledger.Message{Stream: "S", Sequence: 1}, "")
	if err != nil || a.Failed != 2 {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestARecordThatSomebodySpoiltIsAFaultNotACrash(t *testing.T) {
	w := open(t)
	for field, value := range map[string]string{"primary": "{", "receivedAt": "yesterday"} {
		key := w.key("rec-"+field, "record")
		if err := w.raw.HSet(t.Context(), key, field, value).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Record(t.Context(), "rec-"+field); !fault.Is(err, fault.Unavailable, fault.Ledger) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := w.raw.Set(t.Context(), w.key("rec-1", "record"), "no hash", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finished(t.Context(), "rec-1", tier.Primary, stored(tier.Primary)); !fault.Is(err, fault.Unavailable, fault.Ledger) {
		t.Errorf("another type: %v", err)
	}
}
