package redisledger_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/ledger/ledgertest"
	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

// patience is how long a call may take that gets no answer: dialling, and waiting for one reply.
const patience = 3 * time.Second

// listen serves each connection to a free port with handle, until the test ends.
func listen(t *testing.T, address string, handle func(net.Conn)) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return l
}

// at opens a ledger that looks for Redis at that address.
func at(t *testing.T, address net.Addr) *redisledger.Ledger {
	t.Helper()
	l, err := redisledger.Open(redisledger.Config{URL: "redis://:s3cret@" + address.String() + "/0", Prefix: "test", TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// wantFaults calls every method and wants a fault of the ledger soon.
func wantFaults(t *testing.T, l ledger.Ledger, lease ledger.Lease) {
	t.Helper()
	began := time.Now()
	for name, err := range ledgertest.Every(t.Context(), l, lease, "rec-1", ledger.Message{Stream: "S", Sequence: 1}) {
		if !fault.Is(err, fault.Unavailable, fault.Ledger) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want a fault of the ledger", name, err)
		}
	}
	if took := time.Since(began); took > 11*patience {
		t.Errorf("all methods took %s", took)
	}
}

func TestRedisThatIsAwayIsAFaultAtOnce(t *testing.T) {
	closed := listen(t, "127.0.0.1:0", func(net.Conn) {})
	closed.Close()
	wantFaults(t, at(t, closed.Addr()), nil)
}

func TestRedisThatHangsUpIsAFault(t *testing.T) {
	wantFaults(t, at(t, listen(t, "127.0.0.1:0", func(net.Conn) {}).Addr()), nil)
}

func TestRedisThatNeverAnswersIsAFaultSoon(t *testing.T) {
	frozen := listen(t, "127.0.0.1:0", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	l := at(t, frozen.Addr())
	began := time.Now()
	_, err := l.Claim(t.Context(), "rec-1", tier.Primary)
	if took := time.Since(began); took > patience {
		t.Errorf("it took %s", took)
	}
	if !fault.Is(err, fault.Unavailable, fault.Ledger) {
		t.Errorf("got %v", err)
	}
}

// cut is a way to the test server that can be cut and mended.
type cut struct {
	mu    sync.Mutex
	away  bool
	conns []net.Conn
	to    string
}

func (c *cut) set(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

func (c *cut) carry(from net.Conn) {
	to, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer to.Close()
	c.mu.Lock()
	if c.away {
		c.mu.Unlock()
		return
	}
	c.conns = append(c.conns, from, to)
	c.mu.Unlock()
	go func() {
		_, _ = io.Copy(to, from) // ends when either end is closed
		to.Close()
	}()
	_, _ = io.Copy(from, to)
}

func TestAClaimOutlivesAnAbsenceOfRedis(t *testing.T) {
	w := open(t)
	way := &cut{to: w.raw.Options().Addr}
	front := listen(t, "127.0.0.1:0", way.carry)
	t.Cleanup(func() { way.set(true) })
	l, err := redisledger.Open(redisledger.Config{URL: "redis://" + front.Addr().String() + "/0", Prefix: w.prefix, TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c, err := l.Claim(t.Context(), "rec-1", tier.Primary)
	if err != nil {
		t.Fatal(err)
	}
	way.set(true)
	wantFaults(t, l, c.Lease)
	way.set(false)
	deadline := time.Now().Add(20 * time.Second)
	for err = l.Ping(t.Context()); err != nil; err = l.Ping(t.Context()) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come back: %v", err)
		}
		<-time.After(20 * time.Millisecond)
	}
	if err := c.Lease.Renew(t.Context()); err != nil {
		t.Errorf("renew: %v", err)
	}
}

func TestARotatedPasswordIsUsedByTheNextConnection(t *testing.T) {
	said := make(chan string, 8)
	front := listen(t, "127.0.0.1:0", func(c net.Conn) {
		b := make([]byte, 4096)
		n, _ := c.Read(b)
		said <- string(b[:n])
	})
	file := filepath.Join(t.TempDir(), "password")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first-word")
	now := time.Now()
	secret, err := settings.SecretFile("TWINREEL_REDIS_PASSWORD_FILE", file, settings.Clock(func() time.Time { return now }))
	if err != nil {
		t.Fatal(err)
	}
	l, err := redisledger.Open(redisledger.Config{URL: "redis://worker@" + front.Addr().String() + "/0", Password: secret, Prefix: "test", TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, word := range []string{"first-word", "second-word"} {
		write(word)
		now = now.Add(10 * time.Second)
		if err := l.Ping(t.Context()); err == nil {
			t.Fatal("a server that hangs up has answered")
		}
		if got := <-said; !strings.Contains(got, "worker") || !strings.Contains(got, word) {
			t.Errorf("said %q, want %s", got, word)
		}
	}
}

func TestASentinelNamesTheServer(t *testing.T) {
	o, err := redis.ParseURL(testenv.Need(t, testenv.RedisURL))
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(o.Addr)
	if err != nil {
		t.Fatal(err)
	}
	l, err := redisledger.Open(redisledger.Config{
		URL: "redis://nowhere.invalid/0", Sentinels: []string{sentinel(t, "twins", host, port)}, Master: "twins", Prefix: "test", TTL: ttl,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Ping(t.Context()); err != nil {
		t.Errorf("ping by way of the sentinel: %v", err)
	}
}
