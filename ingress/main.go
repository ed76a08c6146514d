// Command ingress checks the webhooks of contact-centre platforms and publishes them; it answers 200 only when the
// stream has acknowledged the event. It talks to NATS and to nothing else.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/ingress/internal/config"
	"github.com/twinreel/twinreel/ingress/internal/webhook"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/service"
)

// gcPercent is how much garbage, as a share of what lives, ingress may gather. So little lives that by default the
// collector would run for each few hundred webhooks; with this it has some tens of MiB.
const gcPercent = 400

func main() {
	debug.SetGCPercent(gcPercent)
	var c config.Config
	os.Exit(service.Main(service.Program{
		Name: "ingress", About: "takes webhooks, checks them, and says 200 only when their recording can no longer be forgotten",
		Settings: &c, Service: &c.Service,
		Run: func(ctx context.Context, s *service.Service) error { return run(ctx, s, &c) },
	}))
}

// run listens from the start, also while NATS is away: a platform that gets 503 sends again.
func run(ctx context.Context, s *service.Service, c *config.Config) error {
	sources, err := c.Webhook.Sources(func(variable, text string) {
		s.Log.Warn("a secret could not be read again", zap.String("variable", variable), zap.String("error", text))
	})
	if err != nil {
		return err
	}
	nc, js, err := queue.Connect(c.NATS, s.Program, s.Instance, s.Log)
	if err != nil {
		return err
	}
	defer nc.Close()
	s.Check("streams", true, queue.Provisioned(js, c.NATS.Replicas, queue.Recordings))
	s.Check("nats", true, queue.Reachable(nc))
	warnUnsigned(s, sources)
	handler := webhook.New(webhook.Options{
		Sources: sources, Publisher: queue.NewPublisher(nc, js), Ready: s.Ready, MaxBody: c.Webhook.MaxBody, AckTimeout: c.Webhook.AckTimeout,
		Participants: webhook.Participants(c.Webhook.Participants), Now: time.Now, Log: s.Log, Registry: s.Registry,
	})
	return serve(ctx, s, c.HTTP, handler)
}

// serve opens the address of webhooks and answers until the program stops.
func serve(ctx context.Context, s *service.Service, c config.HTTP, h http.Handler) error {
	var certs *webhook.Certificates
	if c.TLSCertFile != "" {
		var err error
		if certs, err = webhook.NewCertificates(c.TLSCertFile, c.TLSKeyFile, time.Now, s.Log); err != nil {
			return err
		}
	}
	l, err := service.Listen("TWINREEL_LISTEN_ADDR", c.ListenAddr)
	if err != nil {
		return err
	}
	s.Log.Info("listening for webhooks", zap.Stringer("addr", l.Addr()), zap.Bool("tls", certs != nil))
	return webhook.Serve(ctx, s.Drain(), l, h, certs, s.Log)
}

// warnUnsigned says in log and /readyz which sources anybody may send for.
func warnUnsigned(s *service.Service, sources map[string]config.Source) {
	var names []string
	for name, source := range sources {
		if source.Scheme == config.None {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	list := strings.Join(names, ", ")
	s.Log.Warn("webhooks are taken without a signature: anybody who can reach this address can send recordings", zap.String("sources", list))
	s.Check("signatures", false, func(context.Context) error {
		return fmt.Errorf("webhooks are taken without a signature from: %s", list)
	})
}
