package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/platform"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/register"
)

// webhookTimeout bounds what is asked of the platform.
const webhookTimeout = 2 * time.Minute

func (a *app) webhook() *cobra.Command {
	return parent("webhook", "The webhook on the platform that tells of recordings", a.webhookRegister(), a.webhookShow())
}

// registration is a wanted webhook as flags have it.
type registration struct {
	name, url, event string
	headers          []string
	allowHTTP        bool
	dryRun, yes      bool
}

func (a *app) webhookRegister() *cobra.Command {
	var r registration
	c := &cobra.Command{
		Use:   "register --url URL",
		Short: "Create the webhook on the platform",
		Long: `Create, by the platform's API at TWINREEL_PLATFORM_API_URL, the webhook that tells Twinreel of each finished recording: event
RECORDING_COMPLETED, JSON, three retries fifteen seconds apart, with the headers given. It may be repeated: one that is there
already is found and not doubled; one of the same address that differs is left as it is, and the differences are told.

The token is TWINREEL_PLATFORM_TOKEN, or comes by OAuth client credentials (TWINREEL_OAUTH_…). No more than ten requests a
second are made, in turns with the whole fleet's (TWINREEL_PLATFORM_RATE). Who registered is in the audit log. Without --yes
it asks in a terminal, and refuses elsewhere; --dry-run shows what would be sent.`,
		Example: `  reconciler webhook register --url https://hooks.example.com/api/v1/webhooks/recording-complete \
      --header X-Webhook-Source=GenesysCloud --header X-Environment=production
  reconciler webhook register --url https://hooks.example.com/api/v1/webhooks/recording-complete --dry-run -o json
  TWINREEL_PLATFORM_TOKEN_FILE=token reconciler webhook register --url https://hooks.example.com/api/v1/webhooks/emea --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			want, err := r.webhook()
			if err != nil {
				return err
			}
			if !r.yes && !r.dryRun && !a.interactive() {
				return usagef("webhook register: want --yes where nobody can be asked, or --dry-run")
			}
			if !register.OursByPath(r.url) {
				a.say("note: the path does not end in /api/v1/webhooks/recording-complete or /api/v1/webhooks/<source>, which ingress serves")
			}
			return a.registerWebhook(cmd.Context(), want, r)
		},
	}
	c.Flags().StringVar(&r.url, "url", "", "address that webhooks are sent to: ingress's, as the platform reaches it")
	c.Flags().StringVar(&r.name, "name", "Twinreel", "the webhook's name on the platform")
	c.Flags().StringVar(&r.event, "event", register.Completed, "what it tells of; no other event is taken")
	c.Flags().StringArrayVar(&r.headers, "header", nil, "NAME=VALUE that the platform sends along; may be repeated")
	c.Flags().BoolVar(&r.allowHTTP, "allow-http", false, "take a plain http address beyond this machine")
	c.Flags().BoolVar(&r.dryRun, "dry-run", false, "look, show what would be created, change nothing")
	c.Flags().BoolVar(&r.yes, "yes", false, "do not ask")
	return c
}

// webhook is what the flags ask for.
func (r registration) webhook() (register.Webhook, error) {
	if r.url == "" {
		return register.Webhook{}, usagef("--url: want the address that webhooks are sent to")
	}
	if err := register.CheckEvent(r.event); err != nil {
		return register.Webhook{}, usagef("--event: %w", err)
	}
	if err := register.CheckURL(r.url, r.allowHTTP); err != nil {
		return register.Webhook{}, usagef("--url: %w", err)
	}
	if strings.TrimSpace(r.name) == "" {
		return register.Webhook{}, usagef("--name: want a name")
	}
	headers, err := register.ParseHeaders(r.headers)
	if err != nil {
		return register.Webhook{}, usagef("--header: %w", err)
	}
	return register.New(r.name, r.url, headers), nil
}

func (a *app) registerWebhook(ctx context.Context, want register.Webhook, r registration) error {
	var s config.Register
	client, done, err := a.platformClient(&s, &s.Platform, &s.Redis)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, webhookTimeout)
	defer cancel()
	have, found, err := register.Find(ctx, client, want)
	switch {
	case err != nil:
		return err
	case found:
		return a.printOutcome(register.Outcome{Action: register.Unchanged, Webhook: have})
	case r.dryRun:
		return a.printOutcome(register.Outcome{Action: register.Planned, Webhook: want})
	case !r.yes && !a.confirm(fmt.Sprintf("Create the webhook %q for %s on the platform?", want.Name, want.Shown().URL)):
		return fmt.Errorf("nothing was changed")
	}
	conn, err := a.connect(ctx, s.NATS)
	if err != nil {
		return err
	}
	defer conn.close()
	publisher := queue.NewPublisher(conn.nc, conn.js)
	if err := auditRegister(ctx, publisher, want.Name, "is being registered"); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	out, err := register.Create(ctx, client, want)
	if err != nil {
		return err
	}
	if err := auditRegister(ctx, publisher, want.Name, "was registered, ID "+out.Webhook.ID); err != nil {
		a.say("the webhook is there; that it is could not be written to the audit log, which has that it was asked for: %s", fault.Text(err))
	}
	return a.printOutcome(out)
}

// auditRegister writes to the compliance log what becomes of a webhook.
func auditRegister(ctx context.Context, p *queue.Publisher, name, what string) error {
	return p.Audit(ctx, event.Audit{
		Kind: event.AuditRegister, Tier: event.AuditAll, Time: time.Now(),
		Data: event.AuditData{Reason: fault.Clean(fmt.Sprintf("webhook %q for %s %s", name, register.Completed, what)), By: operator()},
	})
}

// platformClient loads s and returns the client of the platform's API.
func (a *app) platformClient(s any, p *config.Platform, r *redisledger.Config) (*register.Client, func(), error) {
	if err := a.load(s); err != nil {
		return nil, nil, err
	}
	if err := p.Needed(); err != nil {
		return nil, nil, err
	}
	turns, err := redisledger.Open(*r) // away, each process takes its own share
	if err != nil {
		return nil, nil, err
	}
	api, err := platform.New(p.API, turns, func(variable, text string) { a.say("%s: %s", variable, text) })
	if err != nil {
		_ = turns.Close()
		return nil, nil, err
	}
	done := func() { api.Close(); _ = turns.Close() }
	client, err := register.NewClient(api.Caller(p.Token), p.URL)
	if err != nil {
		done()
		return nil, nil, err
	}
	return client, done, nil
}

func (a *app) printOutcome(o register.Outcome) error {
	o.Webhook = o.Webhook.Shown()
	return a.printOne(o, func(w io.Writer) error {
		return writeTable(w, nil, append([][]string{{"webhook", o.Action}}, webhookRows(o.Webhook)...))
	})
}

// webhookRows tells a webhook's fields.
func webhookRows(w register.Webhook) [][]string {
	var headers []string
	for _, name := range slices.Sorted(maps.Keys(w.Headers)) {
		headers = append(headers, name+": "+w.Headers[name])
	}
	return [][]string{
		{"id", w.ID},
		{"name", w.Name},
		{"url", w.URL},
		{"event", w.Event},
		{"enabled", fmt.Sprint(w.Enabled)},
		{"content type", w.ContentType},
		{"retries", fmt.Sprintf("%d, %s apart", w.RetryCount, time.Duration(w.RetryDelay)*time.Millisecond)},
		{"headers", strings.Join(headers, ", ")},
	}
}
