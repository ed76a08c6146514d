// Package service is what every Twinreel program has around its own work: flags, settings, logger, health and metrics
// over HTTP, signals and drain.
//
// A program that is nothing but a service calls Main. One with commands of its own (the reconciler) calls Load and, for
// the command that runs in the foreground, Serve.
package service

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/telemetry"
)

// Config is what every program that runs in the foreground is set up with.
type Config struct {
	telemetry.Config
	AdminAddr    string        `env:"TWINREEL_ADMIN_ADDR" envDefault:":9090" meaning:"address of /livez, /readyz and /metrics"`
	DrainTimeout time.Duration `env:"TWINREEL_DRAIN_TIMEOUT" envDefault:"25s" meaning:"how long a stopping program may finish what it holds"`
}

// Check implements settings.Checker.
func (c *Config) Check() []settings.Problem {
	out := c.Config.Check()
	if err := CheckAddr(c.AdminAddr); err != nil {
		out = append(out, settings.Problem{Variable: "TWINREEL_ADMIN_ADDR", Text: err.Error()})
	}
	if c.DrainTimeout <= 0 {
		out = append(out, settings.Problem{Variable: "TWINREEL_DRAIN_TIMEOUT", Text: "want more than 0"})
	}
	return out
}

// addrError says what an address to listen on looks like.
type addrError struct{}

func (addrError) Error() string { return "want host:port or :port, such as :8080 or 127.0.0.1:8080" }

// CheckAddr returns what is wrong with an address to listen on.
func CheckAddr(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addrError{}
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return addrError{}
	}
	return nil
}

// Service is a running program, as its Run sees it.
type Service struct {
	Log      *zap.Logger
	Registry *prometheus.Registry
	Program  string
	Version  string
	Instance string // host name, dots as "-", and a short random suffix: this process and no other
	*health
	drain context.Context
}

// Drain returns the context that ends when the time to finish what is in hand is over: TWINREEL_DRAIN_TIMEOUT after the
// context given to Run.
func (s *Service) Drain() context.Context { return s.drain }

// newService returns a Service without checks.
func newService(drain context.Context, program string, log *zap.Logger) *Service {
	v := telemetry.Version()
	return &Service{
		Log: log, Registry: telemetry.NewRegistry(program, v), Program: program, Version: v, Instance: instance(), health: newHealth(time.Now),
		drain: drain,
	}
}

// suffixLen makes two processes of the same host name unlikely to share an instance name: 30 bits.
const suffixLen = 6

// instance names this process. It may stand in a NATS subject and in a KV key.
func instance() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "host"
	}
	host = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '-'
	}, host)
	return host + "-" + strings.ToLower(rand.Text()[:suffixLen])
}
