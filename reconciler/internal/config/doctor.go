package config

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
	"github.com/twinreel/twinreel/pkg/platform"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
)

// S3 is for what looks at the primary tier's store alone.
type S3 struct {
	S3 s3store.Config
}

// Azure is for what looks at the backup tier's store alone.
type Azure struct {
	Azure azstore.Config
}

// Streams is for what holds JetStream against what provisioning makes.
type Streams struct {
	NATS  queue.Config
	Sizes queue.Sizes
	Room  Room
}

// Origins is where a worker takes copies from.
type Origins struct {
	List []string `env:"TWINREEL_COPY_FROM_ORIGINS" meaning:"of a worker: scheme://host:port of the sibling's store, from where alone it takes copies"`
}

// Webhooks is what ingress's webhooks are signed with, where doctor runs in its environment.
type Webhooks struct {
	Secret      settings.Secret `env:"TWINREEL_WEBHOOK_SECRET" meaning:"of ingress: doctor judges how strong it is, where it is set"`
	Scheme      string          `env:"TWINREEL_WEBHOOK_SCHEME" envDefault:"hub-sha256" meaning:"of ingress: how webhooks are signed"`
	SourcesFile string          `env:"TWINREEL_SOURCES_FILE" meaning:"YAML file of further sources, with resolvers and tokens of their own"`
}

// Retention is for how long recordings have to be kept.
type Retention struct {
	Days int `env:"TWINREEL_RETENTION_DAYS" envDefault:"2555" meaning:"days for which a recording is kept; past it, one that is gone from primary is expired, not missing"`
}

// Check implements settings.Checker.
func (r *Retention) Check() []settings.Problem {
	if r.Days < 1 {
		return []settings.Problem{{Variable: "TWINREEL_RETENTION_DAYS", Text: "want at least 1 day"}}
	}
	return nil
}

// Platform is how the platform's API is asked about webhooks.
type Platform struct {
	URL   string          `env:"TWINREEL_PLATFORM_API_URL" meaning:"address of the platform's API, https://api.example.com, for webhook register and show"`
	Token settings.Secret `env:"TWINREEL_PLATFORM_TOKEN" meaning:"bearer token for it, with the right to manage webhooks; or OAuth client credentials"`
	API   platform.Config
}

// Check implements settings.Checker.
func (p *Platform) Check() []settings.Problem {
	var out []settings.Problem
	if p.URL != "" {
		u, err := url.Parse(p.URL)
		if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || !slices.Contains([]string{"http", "https"}, u.Scheme) {
			out = append(out, settings.Problem{Variable: "TWINREEL_PLATFORM_API_URL", Text: "want an address such as https://api.example.com, without user and query"})
		} else if platform.Plain(p.URL) {
			out = append(out, settings.Problem{Variable: "TWINREEL_PLATFORM_API_URL", Text: "want https: no token goes over plain http beyond this machine"})
		}
	}
	if p.Token.IsSet() && p.API.OAuth.TokenURL != "" {
		out = append(out, settings.Problem{Variable: "TWINREEL_PLATFORM_TOKEN", Text: "is set together with TWINREEL_OAUTH_TOKEN_URL, which takes its place; set one of them"})
	}
	return out
}

// Needed is the problem of what a command cannot do without, though others can; nil where all is there.
func (p *Platform) Needed() error {
	var out settings.Problems
	if p.URL == "" {
		out = append(out, settings.Problem{Variable: "TWINREEL_PLATFORM_API_URL", Text: "is required: where the platform's API is"})
	}
	if !p.Token.IsSet() && p.API.OAuth.TokenURL == "" {
		out = append(out, settings.Problem{Variable: "TWINREEL_PLATFORM_TOKEN", Text: fmt.Sprintf("is required, or a path in %s, or OAuth client credentials (TWINREEL_OAUTH_TOKEN_URL …)", "TWINREEL_PLATFORM_TOKEN_FILE")})
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// Register is for the command that creates the webhook on the platform.
type Register struct {
	NATS     queue.Config
	Redis    redisledger.Config
	Platform Platform
}

// Webhook is for the command that shows the platform's webhooks.
type Webhook struct {
	Redis    redisledger.Config
	Platform Platform
}
