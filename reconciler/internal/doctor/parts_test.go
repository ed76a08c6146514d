package doctor

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// account is this package's JetStream world.
const account = "test33"

func sizes() queue.Sizes {
	return queue.Sizes{Recordings: 8 << 20, Letters: 4 << 20, Audit: 4 << 20, MaxAge: 720 * time.Hour}
}

// monitor serves an answer to /jsz.
func monitor(t *testing.T, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
	t.Cleanup(s.Close)
	return s.URL
}

func TestStreamsAreJudgedByWhatProvisioningMakes(t *testing.T) {
	_, js := testenv.Account(t, account)
	n := NATS{JS: js, Sizes: sizes(), Replicas: 1, Client: http.DefaultClient}
	wants(t, find(t, n.Examine(t.Context()), "nats.streams"), Fail, "missing: bucket twinreel-digests")
	if _, err := queue.Provision(t.Context(), js, sizes(), 1); err != nil {
		t.Fatal(err)
	}
	all := n.Examine(t.Context())
	wants(t, find(t, all, "nats.streams"), Pass, "12 of them")
	wants(t, find(t, all, "nats.clock"), Pass, "within")
	wants(t, find(t, all, "nats.replicas"), Warn, "is 1")
	wants(t, find(t, all, "nats.sync"), Unknown, "TWINREEL_NATS_MONITOR_URL")
	wants(t, find(t, all, "nats.room"), Unknown, "TWINREEL_NATS_MONITOR_URL")
	s, err := js.Stream(t.Context(), queue.DeadLetters)
	if err != nil {
		t.Fatal(err)
	}
	c := s.CachedInfo().Config
	c.Discard = jetstream.DiscardOld
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	wants(t, find(t, n.Examine(t.Context()), "nats.streams"), Fail, "stream RECORDINGS_DLQ drops its oldest messages")
	n.Replicas = 3
	wants(t, find(t, n.Examine(t.Context()), "nats.streams"), Fail, "has 1 replicas instead of 3")
}

func TestDurabilityIsJudgedByWhatTheMonitorTells(t *testing.T) {
	_, js := testenv.Account(t, account)
	for name, c := range map[string]struct {
		body       string
		replicas   int
		sync, room Verdict
	}{
		"synced with each write":    {`{"config":{"max_storage":1000000000,"sync_interval":120000000000,"sync_always":true}}`, 1, Pass, Pass},
		"every two minutes":         {`{"config":{"max_storage":1000000000,"sync_interval":120000000000}}`, 1, Fail, Pass},
		"so, but on three servers":  {`{"config":{"max_storage":1000000000,"sync_interval":120000000000}}`, 3, Warn, Pass},
		"an old server":             {`{"config":{"max_storage":1000000000}}`, 1, Unknown, Pass},
		"a small disk":              {`{"reserved_storage":900,"config":{"max_storage":1000,"sync_always":true}}`, 1, Pass, Fail},
		"something else altogether": {`<html>`, 1, Unknown, Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			n := NATS{JS: js, Sizes: sizes(), Replicas: c.replicas, Monitor: monitor(t, c.body), Client: http.DefaultClient}
			all := n.monitored(t.Context())
			wants(t, find(t, all, "nats.sync"), c.sync, "")
			wants(t, find(t, all, "nats.room"), c.room, "")
		})
	}
}

func TestReplicasThatAreBehindFail(t *testing.T) {
	c := NATS{Replicas: 3}.replicas([]queue.Standing{{Name: "RECORDINGS", Replicas: 3, Current: 2}, {Name: "AUDIT", Replicas: 3, Current: 3}})
	wants(t, c, Fail, "RECORDINGS has 2 of 3")
	wants(t, NATS{Replicas: 3}.replicas([]queue.Standing{{Name: "AUDIT", Replicas: 3, Current: 3}}), Pass, "3 replicas")
}

// redis is one that tells what a test wants.
type redis struct {
	redisledger.Setup
	err error
}

func (r redis) Inspect(context.Context) (redisledger.Setup, error) { return r.Setup, r.err }
func (r redis) Clock(context.Context) (time.Time, error)           { return time.Now(), r.err }

func TestRedisIsJudgedByItsSettings(t *testing.T) {
	well := redisledger.Setup{Version: "7", Eviction: "noeviction", AppendOnly: "1", Sync: "everysec", Role: "master"}
	for name, c := range map[string]struct {
		change  func(*redisledger.Setup)
		check   string
		verdict Verdict
		words   string
	}{
		"all well":               {func(*redisledger.Setup) {}, "redis.persistence", Pass, "appendfsync everysec"},
		"it evicts":              {func(s *redisledger.Setup) { s.Eviction, s.MaxMemory = "allkeys-lru", "1000" }, "redis.eviction", Fail, "allkeys-lru"},
		"it would evict":         {func(s *redisledger.Setup) { s.Eviction, s.MaxMemory = "allkeys-lru", "0" }, "redis.eviction", Warn, "not bounded"},
		"policy not told":        {func(s *redisledger.Setup) { s.Eviction = "" }, "redis.eviction", Unknown, "does not tell"},
		"nothing kept":           {func(s *redisledger.Setup) { s.AppendOnly, s.SaveTold = "0", true }, "redis.persistence", Fail, "forgets all"},
		"snapshots":              {func(s *redisledger.Setup) { s.AppendOnly, s.Save, s.SaveTold = "0", "3600 1", true }, "redis.persistence", Warn, "save 3600 1"},
		"perhaps snapshots":      {func(s *redisledger.Setup) { s.AppendOnly = "0" }, "redis.persistence", Warn, "not told"},
		"never synced":           {func(s *redisledger.Setup) { s.Sync = "no" }, "redis.persistence", Warn, "appendfsync no"},
		"persistence not told":   {func(s *redisledger.Setup) { s.AppendOnly = "" }, "redis.persistence", Unknown, "does not tell"},
		"a replica":              {func(s *redisledger.Setup) { s.Role = "slave" }, "redis.reachable", Fail, "takes no writes"},
		"sync is not to be told": {func(s *redisledger.Setup) { s.Sync = "" }, "redis.persistence", Pass, "does not tell"},
	} {
		t.Run(name, func(t *testing.T) {
			s := well
			c.change(&s)
			wants(t, find(t, Redis{redis{Setup: s}}.Examine(t.Context()), c.check), c.verdict, c.words)
		})
	}
	all := Redis{redis{err: errAway}}.Examine(t.Context())
	if len(all) != 1 {
		t.Errorf("away: got %+v", all)
	}
	wants(t, all[0], Fail, "connection refused")
}

func TestSecretsAreJudgedByWhatGuessingThemTakesAndNeverShown(t *testing.T) {
	for name, c := range map[string]struct {
		secret, scheme string
		verdict        Verdict
		words          string
	}{
		"random hex":                {"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "hub-sha256", Pass, "1 active"},
		"16 random bytes in hex":    {"5d41402abc4b2a76b9719d911017c592", "hub-sha256", Pass, "1 active"},
		"a word":                    {"hunter2", "hub-sha256", Fail, "about"},
		"long, but always the same": {strings.Repeat("a", 64), "hub-sha256", Fail, "about 0 bits"},
		"a sentence":                {"correct horse battery", "hub-sha256", Warn, "about"},
		"the weaker of two":         {"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\nhunter2", "hub-sha256", Fail, "2 active, the weakest (line 2)"},
		"standard, 24 bytes":        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "standard-webhooks", Pass, "1 active"},
		"standard, of one letter":   {"whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh", "standard-webhooks", Fail, "about 0 bits"},
		"not signed":                {"", "none", Fail, "not signed"},
		"not here":                  {"", "hub-sha256", Unknown, "not in this environment"},
	} {
		t.Run(name, func(t *testing.T) {
			got := WebhookSecret(settings.NewSecret(c.secret), c.scheme, true)[0]
			wants(t, got, c.verdict, c.words)
			for line := range strings.Lines(c.secret) {
				if strings.Contains(got.Found+got.Mend, strings.TrimSpace(line)) {
					t.Errorf("shows the secret: %+v", got)
				}
			}
		})
	}
}

func TestThePlatformIsReachableWhateverItAnswers(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" || r.Header.Get("Authorization") != "" {
			t.Errorf("asked for %s with %q", r.URL, r.Header)
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	defer s.Close()
	const name = "TWINREEL_RESOLVER_URL"
	part := func(address string, client *http.Client) []Check {
		return Source{Addresses: map[string]string{name: address}, Order: []string{name}, Client: client}.Examine(t.Context())
	}
	wants(t, part(s.URL+"/api/{recordingId}?token=s3cret", s.Client())[0], Pass, "(403)")
	untrusted := part(s.URL, http.DefaultClient)[0]
	wants(t, untrusted, Fail, "certificate")
	away := part("http://127.0.0.1:1/?token=s3cret", http.DefaultClient)[0]
	wants(t, away, Fail, "does not answer")
	if strings.Contains(away.Found, "s3cret") {
		t.Errorf("shows the address: %s", away.Found)
	}
	wants(t, Source{}.Examine(t.Context())[0], Unknown, "no address")
}

// stuck answers only when it is told to stop.
type stuck struct{}

func (stuck) Examine(ctx context.Context) []Check {
	<-ctx.Done()
	return Away("stuck", ctx.Err())
}

func TestPartsAreLookedAtSideBySideAndToldInOrder(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	all := Examine(ctx, stuck{}, Set("a"), stuck{}, NotSet("b", errors.New("X: is required\nY: is required")))
	if len(all) != 4 || all[1].Name != "a.settings" || all[3].Name != "b.settings" || !Failed(all) || Failed(all[1:2]) || Count(all)[Fail] != 3 {
		t.Errorf("got %+v", all)
	}
	wants(t, all[3], Fail, "X: is required; Y: is required")
}

func TestPeopleReadItInAHundredColumns(t *testing.T) {
	q := question{"a.b", strings.Repeat("what it should be, ", 20), strings.Repeat("why ", 60)}
	var out bytes.Buffer
	if err := Write(&out, []Check{q.pass("fine"), q.fail(strings.Repeat("mend it so, ", 20), "%s", strings.Repeat("found this, ", 30))}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	if lines[0] != "pass     a.b  fine" || !strings.HasPrefix(lines[1], "fail     a.b  found this,") {
		t.Errorf("got\n%s", out.String())
	}
	for _, l := range lines {
		if len(l) > 100 {
			t.Errorf("%d columns: %s", len(l), l)
		}
	}
	for _, words := range []string{"should be  what it should be,", "because    why why", "mend it    mend it so,"} {
		if !strings.Contains(out.String(), words) {
			t.Errorf("%q is missing in\n%s", words, out.String())
		}
	}
}
