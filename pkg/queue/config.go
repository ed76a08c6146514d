package queue

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/settings"
)

// Config is how a program reaches NATS.
type Config struct {
	URLs     []string        `env:"TWINREEL_NATS_URL" envDefault:"nats://127.0.0.1:4222" meaning:"NATS servers, comma-separated"`
	Creds    string          `env:"TWINREEL_NATS_CREDS_FILE" meaning:"NATS credentials file (JWT and seed); read again at each connect"`
	User     string          `env:"TWINREEL_NATS_USER" meaning:"NATS user, instead of a credentials file"`
	Password settings.Secret `env:"TWINREEL_NATS_PASSWORD" meaning:"that user's password"`
	CA       string          `env:"TWINREEL_NATS_CA_FILE" meaning:"CA certificates that NATS servers are checked against (PEM); the system's if unset"`
	Cert     string          `env:"TWINREEL_NATS_CERT_FILE" meaning:"client certificate (PEM)"`
	Key      string          `env:"TWINREEL_NATS_KEY_FILE" meaning:"its private key (PEM)"`
	Replicas int             `env:"TWINREEL_NATS_REPLICAS" envDefault:"1" meaning:"replicas of streams and buckets: 1, 3 or 5"`
	Peer     Peer
}

// Check implements settings.Checker.
func (c *Config) Check() []settings.Problem {
	var out []settings.Problem
	add := func(name, text string) { out = append(out, settings.Problem{Variable: name, Text: text}) }
	for _, s := range c.URLs {
		u, err := url.Parse(strings.TrimSpace(s))
		if err != nil || u.Host == "" || !strings.Contains(" nats tls ws wss ", " "+u.Scheme+" ") {
			add("TWINREEL_NATS_URL", "want nats://host:port or tls://host:port, several separated by commas")
			break
		}
	}
	if c.Replicas != 1 && c.Replicas != 3 && c.Replicas != 5 {
		add("TWINREEL_NATS_REPLICAS", "want 1, 3 or 5")
	}
	if (c.Cert == "") != (c.Key == "") {
		add("TWINREEL_NATS_CERT_FILE", "set it together with TWINREEL_NATS_KEY_FILE, or neither")
	}
	if c.Cert != "" && c.Key != "" {
		if _, err := tls.LoadX509KeyPair(c.Cert, c.Key); err != nil {
			add("TWINREEL_NATS_CERT_FILE", "certificate and key cannot be read as a pair: "+fault.Text(err))
		}
	}
	if c.Password.IsSet() && c.User == "" {
		add("TWINREEL_NATS_USER", "set it together with TWINREEL_NATS_PASSWORD")
	}
	return out
}

// Option changes what Connect does.
type Option func(refused *func(*Refusal))

// OnRefusal has f called, and nothing logged, each time a server refuses us a permission: sooner than what was refused
// ends, which is by its time-out.
func OnRefusal(f func(*Refusal)) Option { return func(refused *func(*Refusal)) { *refused = f } }

// How soon a server that hangs, its connections open, is left for another: after pingEvery × (pingsOut + 1). A zone that stands
// still must be left by ingress well before a platform has sent its last retry, 45 s after the first.
const (
	pingEvery = 5 * time.Second
	pingsOut  = 2
)

// Connect returns a connection that is kept up for ever: NATS may be away, or refuse us, now or at any time later. What the
// program asks is answered below _INBOX.<program>, so that each program can be allowed to read its own answers alone.
// instance shows in the servers' connection list. Changes of state are logged, as is what the servers refuse us.
func Connect(c Config, program, instance string, log *zap.Logger, more ...Option) (*nats.Conn, jetstream.JetStream, error) {
	refused := func(r *Refusal) {
		log.Error("nats refused a permission", zap.String("subject", r.Subject), zap.String("error", r.Error()))
	}
	for _, o := range more {
		o(&refused)
	}
	options := []nats.Option{
		nats.Name(instance), nats.CustomInboxPrefix(inboxPrefix + program), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(500 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, time.Second), nats.Timeout(3 * time.Second), nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(pingsOut),
		nats.IgnoreAuthErrorAbort(), // a password may be changed here a while after it was there
		nats.ReconnectBufSize(-1),   // a publish while away fails at once: nothing may look sent that is only in memory
		nats.ConnectHandler(func(nc *nats.Conn) { log.Info("nats connected", zap.String("server", nc.ConnectedServerName())) }),
		nats.ReconnectHandler(func(nc *nats.Conn) { log.Info("nats connected again", zap.String("server", nc.ConnectedServerName())) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("nats connection lost", zap.String("error", fault.Text(err)))
			}
		}),
		nats.ErrorHandler(func(nc *nats.Conn, _ *nats.Subscription, err error) {
			if r := refusalOf(nc, err); r != nil {
				refused(r)
				return
			}
			log.Warn("nats reported an error", zap.String("error", fault.Text(err)))
		}),
	}
	if c.Creds != "" {
		options = append(options, nats.UserCredentials(c.Creds))
	}
	if c.User != "" {
		options = append(options, nats.UserInfoHandler(func() (string, string) { return c.User, c.Password.Get() }))
	}
	if c.CA != "" {
		options = append(options, nats.RootCAs(c.CA))
	}
	if c.Cert != "" {
		options = append(options, nats.ClientCert(c.Cert, c.Key))
	}
	nc, err := nats.Connect(strings.Join(c.URLs, ","), options...)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to NATS: %s", fault.Text(err))
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("connect to JetStream: %w", err)
	}
	return nc, js, nil
}

// Reachable is the readiness check of the connection itself.
func Reachable(nc *nats.Conn) func(context.Context) error {
	return func(context.Context) error {
		if nc.IsConnected() {
			return nil
		}
		if err := nc.LastError(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			return fmt.Errorf("not connected: %s", fault.Text(err))
		}
		return errors.New("not connected")
	}
}
