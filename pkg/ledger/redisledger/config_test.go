package redisledger_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2/server"

	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/settings"
)

// sentinel is a Sentinel that knows one master, and nothing else; it returns its address.
func sentinel(t *testing.T, master, host, port string) string {
	t.Helper()
	s, err := server.NewServer("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	err = s.Register("SENTINEL", func(c *server.Peer, _ string, args []string) {
		if len(args) == 2 && strings.EqualFold(args[0], "get-master-addr-by-name") && args[1] == master {
			c.WriteStrings([]string{host, port})
			return
		}
		c.WriteLen(0)
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.Addr().String()
}

// load reads the settings from these variables.
func load(t *testing.T, set map[string]string) (redisledger.Config, []string) {
	t.Helper()
	var c redisledger.Config
	err := settings.Load(&c, func(name string) (string, bool) { v, ok := set[name]; return v, ok })
	var names []string
	var problems settings.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			names = append(names, p.Variable)
			if strings.Contains(p.Text, "s3cret") {
				t.Errorf("%s shows a secret: %s", p.Variable, p.Text)
			}
		}
	} else if err != nil {
		t.Fatal(err)
	}
	return c, names
}

func TestTheDefaultsAreUsable(t *testing.T) {
	c, wrong := load(t, nil)
	if len(wrong) > 0 || c.URL != "redis://127.0.0.1:6379/0" || c.Prefix != "twinreel" || c.TTL.Hours() != 168 {
		t.Errorf("%+v, wrong: %v", c, wrong)
	}
	l, err := redisledger.Open(c)
	if err != nil {
		t.Fatalf("open without asking the server: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestBadSettingsAreNamed(t *testing.T) {
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		set  map[string]string
		want []string
	}{
		{"another scheme", map[string]string{"TWINREEL_REDIS_URL": "http://:s3cret@h/0"}, []string{"TWINREEL_REDIS_URL"}},
		{"no address", map[string]string{"TWINREEL_REDIS_URL": "redis://:s3cret@h:1/x"}, []string{"TWINREEL_REDIS_URL"}},
		{"a socket", map[string]string{"TWINREEL_REDIS_URL": "unix:///run/redis"}, []string{"TWINREEL_REDIS_URL"}},
		{"CA without TLS", map[string]string{"TWINREEL_REDIS_CA_FILE": noPEM}, []string{"TWINREEL_REDIS_CA_FILE"}},
		{"no CA", map[string]string{"TWINREEL_REDIS_URL": "rediss://h/0", "TWINREEL_REDIS_CA_FILE": noPEM + "x"}, []string{"TWINREEL_REDIS_CA_FILE"}},
		{"no PEM", map[string]string{"TWINREEL_REDIS_URL": "rediss://h/0", "TWINREEL_REDIS_CA_FILE": noPEM}, []string{"TWINREEL_REDIS_CA_FILE"}},
		{"no master", map[string]string{"TWINREEL_REDIS_SENTINELS": "a:1"}, []string{"TWINREEL_REDIS_SENTINELS"}},
		{"no sentinels", map[string]string{"TWINREEL_REDIS_SENTINEL_MASTER": "m"}, []string{"TWINREEL_REDIS_SENTINELS"}},
		{"no port", map[string]string{"TWINREEL_REDIS_SENTINELS": "a:1, b", "TWINREEL_REDIS_SENTINEL_MASTER": "m"}, []string{"TWINREEL_REDIS_SENTINELS"}},
		{"all at once", map[string]string{"TWINREEL_REDIS_PREFIX": "a{b}", "TWINREEL_LEDGER_TTL": "1s"}, []string{"TWINREEL_LEDGER_TTL", "TWINREEL_REDIS_PREFIX"}},
	} {
		if _, wrong := load(t, c.set); !slices.Equal(wrong, c.want) {
			t.Errorf("%s: %v, want %v", c.name, wrong, c.want)
		}
	}
}

func TestTheServersCertificateIsCheckedAgainstTheCA(t *testing.T) {
	w := tlsFront(t)
	good, err := redisledger.Open(redisledger.Config{URL: w.url, CA: w.ca, Prefix: "test", TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	if err := good.Ping(t.Context()); err != nil {
		t.Errorf("with its CA: %v", err)
	}
	bad, err := redisledger.Open(redisledger.Config{URL: w.url, Prefix: "test", TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	if err := bad.Ping(t.Context()); err == nil {
		t.Error("a certificate that nobody knows was believed")
	}
}

// secured is TLS in front of the test server.
type secured struct{ url, ca string }

func tlsFront(t *testing.T) secured {
	t.Helper()
	w := open(t)
	cert, ca := certificate(t)
	way := &cut{to: w.raw.Options().Addr}
	front := listen(t, "127.0.0.1:0", func(c net.Conn) { way.carry(serveTLS(c, cert)) })
	t.Cleanup(func() { way.set(true) })
	return secured{url: "rediss://" + front.Addr().String() + "/0", ca: ca}
}
