// Command ingress checks the webhooks of contact-centre platforms and publishes them; it answers 200 only when the
// stream has acknowledged the event. It talks to NATS and to nothing else.
//
// All that its NATS user must be allowed:
//
//	publish    recordings.completed.{both,primary,backup}
//	           $KV.twinreel-leases.ingress.>               its own lease: set, deleted
//	           $JS.API.STREAM.INFO.RECORDINGS              readiness
//	           $JS.API.DIRECT.GET.KV_twinreel-tiers        how the tiers stand; the subject without anything behind it
//	           $JS.API.DIRECT.GET.KV_twinreel-leases       how many ingresses live
//	           $JS.API.STREAM.INFO.KV_twinreel-tiers       only asked where a bucket does not answer: whether it is
//	           $JS.API.STREAM.INFO.KV_twinreel-leases      there at all; refused, a bucket that is gone is known as
//	                                                       such only when what was read from it lapses
//	subscribe  _INBOX.>                                    or the prefix of its own
//
// It makes no consumer.
package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/ingress/internal/config"
	"github.com/twinreel/twinreel/ingress/internal/route"
	"github.com/twinreel/twinreel/ingress/internal/webhook"
	"github.com/twinreel/twinreel/pkg/lease"
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
	router, stop := routes(ctx, s, c.Route, nc, js)
	defer stop()
	handler := webhook.New(webhook.Options{
		Sources: sources, Publisher: queue.NewPublisher(nc, js), Router: router, Ready: s.Ready, Serving: s.Serving, MaxBody: c.Webhook.MaxBody,
		AckTimeout: c.Webhook.AckTimeout, Participants: c.Webhook.Profile.Participants, Now: time.Now, Log: s.Log,
		Registry: s.Registry,
	})
	return serve(ctx, s, c.HTTP, handler)
}

// routes starts what decides which tiers take an event live: the tiers' board, and this ingress's presence among those that
// share the request limit. All of it ends with ctx or stop, which waits for it.
func routes(ctx context.Context, s *service.Service, c route.Config, nc *nats.Conn, js jetstream.JetStream) (r *route.Router, stop func()) {
	board := queue.NewWatcher(queue.NewBoard(nc, js), s.Log)
	presence := lease.NewPresence(nc, js, "ingress", s.Instance, s.Log)
	r = route.New(route.Options{
		Config: c, Board: board, Live: presence.Live, Now: time.Now, Draw: rand.Float64, Log: s.Log, Registry: s.Registry,
	})
	s.Check("tiers", false, r.Check)
	s.Check("leases", false, presence.Check)
	ctx, end := context.WithCancel(ctx)
	var all sync.WaitGroup
	for _, run := range []func(context.Context){board.Run, presence.Run, r.Run} {
		all.Go(func() { run(ctx) })
	}
	return r, func() { end(); all.Wait() }
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
