package redisledger

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/settings"
)

// Time-outs of talking to Redis. They are short, because nothing depends on an answer.
const (
	dialTimeout = time.Second
	ioTimeout   = time.Second
	poolTimeout = time.Second
)

// minTTL keeps what is noted longer than the leases it belongs to.
const minTTL = time.Minute

// Config is how a program reaches Redis, and for how long it keeps things there.
type Config struct {
	URL       string          `env:"TWINREEL_REDIS_URL" envDefault:"redis://127.0.0.1:6379/0" meaning:"Redis: redis://host:port/db, or rediss:// for TLS"`
	Password  settings.Secret `env:"TWINREEL_REDIS_PASSWORD" meaning:"its password; a changed one is used by the next connection"`
	CA        string          `env:"TWINREEL_REDIS_CA_FILE" meaning:"CA certificates that Redis is checked against (PEM); the system's if unset"`
	Sentinels []string        `env:"TWINREEL_REDIS_SENTINELS" meaning:"Sentinels, host:port, comma-separated: they name the server, and the URL gives only user, database and TLS"`
	Master    string          `env:"TWINREEL_REDIS_SENTINEL_MASTER" meaning:"the name by which the Sentinels know the master"`
	Prefix    string          `env:"TWINREEL_REDIS_PREFIX" envDefault:"twinreel" meaning:"what every key begins with"`
	TTL       time.Duration   `env:"TWINREEL_LEDGER_TTL" envDefault:"168h" meaning:"life of Redis keys, and of sealed audit events in the stream"`
}

// Check implements settings.Checker.
func (c *Config) Check() []settings.Problem {
	var out []settings.Problem
	add := func(name, text string) { out = append(out, settings.Problem{Variable: name, Text: text}) }
	o, err := redis.ParseURL(c.URL)
	if err != nil || o.Network != "tcp" {
		// The parser's own words may repeat a password.
		add("TWINREEL_REDIS_URL", "want redis://host:port/db or rediss://host:port/db")
	}
	if c.CA != "" {
		if _, err := c.roots(); err != nil {
			add("TWINREEL_REDIS_CA_FILE", fault.Text(err))
		} else if o != nil && o.TLSConfig == nil {
			add("TWINREEL_REDIS_CA_FILE", "set it together with a rediss:// address in TWINREEL_REDIS_URL")
		}
	}
	if (len(c.Sentinels) > 0) != (c.Master != "") {
		add("TWINREEL_REDIS_SENTINELS", "set it together with TWINREEL_REDIS_SENTINEL_MASTER, or neither")
	}
	for _, s := range c.Sentinels {
		if _, port, err := net.SplitHostPort(s); err != nil || port == "" {
			add("TWINREEL_REDIS_SENTINELS", "want host:port, several separated by commas")
			break
		}
	}
	if c.Prefix == "" || strings.ContainsAny(c.Prefix, "{}") {
		add("TWINREEL_REDIS_PREFIX", "want a name without { and }")
	}
	if c.TTL < minTTL {
		add("TWINREEL_LEDGER_TTL", fmt.Sprintf("want at least %s", minTTL))
	}
	return out
}

// roots reads the CA file.
func (c *Config) roots() (*x509.CertPool, error) {
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("holds no certificate in PEM form")
	}
	return pool, nil
}

// options turns the settings into those of the client. Nothing is tried twice: a count whose answer was lost must not be
// counted again, and whoever gets no answer goes on without.
func (c *Config) options() (*redis.Options, error) {
	o, err := redis.ParseURL(c.URL)
	if err != nil {
		return nil, errors.New("TWINREEL_REDIS_URL: want redis://host:port/db or rediss://host:port/db")
	}
	if o.TLSConfig != nil && c.CA != "" {
		if o.TLSConfig.RootCAs, err = c.roots(); err != nil {
			return nil, fmt.Errorf("TWINREEL_REDIS_CA_FILE: %w", err)
		}
	}
	if c.Password.IsSet() {
		user := o.Username
		o.CredentialsProvider = func() (string, string) { return user, c.Password.Get() }
	}
	o.MaxRetries, o.DialerRetries = -1, 1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = dialTimeout, ioTimeout, ioTimeout, poolTimeout
	o.ContextTimeoutEnabled, o.DisableIdentity, o.PipelinePoolSize = true, true, -1
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return o, nil
}

// client returns a client that connects when it is first used.
func (c *Config) client() (*redis.Client, error) {
	o, err := c.options()
	if err != nil {
		return nil, err
	}
	if len(c.Sentinels) == 0 {
		return redis.NewClient(o), nil
	}
	return redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: c.Master, SentinelAddrs: c.Sentinels, Username: o.Username, Password: o.Password, CredentialsProvider: o.CredentialsProvider,
		DB: o.DB, TLSConfig: o.TLSConfig, MaxRetries: o.MaxRetries, DialerRetries: o.DialerRetries, DialTimeout: o.DialTimeout,
		ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, PoolTimeout: o.PoolTimeout, ContextTimeoutEnabled: true,
		DisableIdentity: true, PipelinePoolSize: -1,
	}), nil
}
