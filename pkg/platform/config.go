package platform

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/settings"
)

// Config is how the sources' platforms are asked. Addresses in it are the operator's own, so they may be private; they are
// https unless they are on this machine or plain http is allowed for sources.
type Config struct {
	Token         settings.Secret `env:"TWINREEL_SOURCE_TOKEN" meaning:"bearer token for media requests, sent to TWINREEL_SOURCE_TOKEN_HOSTS only"`
	TokenHosts    []string        `env:"TWINREEL_SOURCE_TOKEN_HOSTS" meaning:"media hosts (host, or host:port) that get the token, comma-separated"`
	ResolverURL   string          `env:"TWINREEL_RESOLVER_URL" meaning:"where a fresh media link is asked for; {recordingId} and {source} in it are replaced. Without {source} it serves the source \"default\" alone"`
	ResolverToken settings.Secret `env:"TWINREEL_RESOLVER_TOKEN" meaning:"bearer token for the resolver"`
	Rate          int             `env:"TWINREEL_PLATFORM_RATE" envDefault:"10" meaning:"requests/s over the whole fleet to one source's API: resolver, and media from token hosts; while Redis is away each process takes a tenth"`
	SourcesFile   string          `env:"TWINREEL_SOURCES_FILE" meaning:"YAML file of further sources, with resolvers and tokens of their own"`
	EgressProxy   string          `env:"TWINREEL_EGRESS_PROXY" meaning:"http or https proxy to sources and their APIs"`
	OAuth         OAuth
}

// OAuth are client credentials (RFC 6749, 4.4) in place of fixed tokens.
type OAuth struct {
	TokenURL     string          `env:"TWINREEL_OAUTH_TOKEN_URL" meaning:"token endpoint for OAuth client credentials, instead of fixed tokens for source, resolver and platform"`
	ClientID     string          `env:"TWINREEL_OAUTH_CLIENT_ID" meaning:"client ID at the token endpoint"`
	ClientSecret settings.Secret `env:"TWINREEL_OAUTH_CLIENT_SECRET" meaning:"its secret; a changed one is used by the next fetch of a token"`
	Scopes       []string        `env:"TWINREEL_OAUTH_SCOPES" meaning:"scopes to ask for, separated by commas or blanks"`
}

// maxRate is more than any platform grants.
const maxRate = 100_000

// Check implements settings.Checker. It reads the sources' file, so that its problems come out with all others.
func (c *Config) Check() []settings.Problem {
	var out []settings.Problem
	add := func(name, text string) { out = append(out, settings.Problem{Variable: name, Text: text}) }
	if c.Rate < 1 || c.Rate > maxRate {
		add("TWINREEL_PLATFORM_RATE", fmt.Sprintf("want 1 to %d requests a second", maxRate))
	}
	for _, h := range c.TokenHosts {
		if strings.ContainsAny(h, "/@*? ") {
			add("TWINREEL_SOURCE_TOKEN_HOSTS", "want hosts such as media.example.com or media.example.com:8443, comma-separated")
			break
		}
	}
	if c.Token.IsSet() && len(c.TokenHosts) == 0 {
		add("TWINREEL_SOURCE_TOKEN_HOSTS", "is required with TWINREEL_SOURCE_TOKEN: it is sent to no other host")
	}
	if c.ResolverURL != "" {
		if err := checkTemplate(c.ResolverURL); err != nil {
			add("TWINREEL_RESOLVER_URL", err.Error())
		}
	}
	if u, err := url.Parse(c.EgressProxy); c.EgressProxy != "" && (err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https") {
		add("TWINREEL_EGRESS_PROXY", "want an address such as http://proxy.example.com:3128")
	}
	if _, err := c.further(); err != nil {
		for text := range strings.SplitSeq(err.Error(), "\n") {
			add("TWINREEL_SOURCES_FILE", text)
		}
	}
	return append(out, c.checkOAuth()...)
}

// checkOAuth holds the client credentials against the fixed tokens.
func (c *Config) checkOAuth() []settings.Problem {
	var out []settings.Problem
	add := func(name, text string) { out = append(out, settings.Problem{Variable: name, Text: text}) }
	o := c.OAuth
	switch set := o.TokenURL != ""; {
	case set != (o.ClientID != ""):
		add("TWINREEL_OAUTH_CLIENT_ID", "set it together with TWINREEL_OAUTH_TOKEN_URL, or neither")
	case set != o.ClientSecret.IsSet():
		add("TWINREEL_OAUTH_CLIENT_SECRET", "set it together with TWINREEL_OAUTH_TOKEN_URL, or neither")
	}
	if o.TokenURL == "" {
		return out
	}
	if err := checkAddress(o.TokenURL); err != nil {
		add("TWINREEL_OAUTH_TOKEN_URL", err.Error())
	}
	for name, fixed := range map[string]settings.Secret{"TWINREEL_SOURCE_TOKEN": c.Token, "TWINREEL_RESOLVER_TOKEN": c.ResolverToken} {
		if fixed.IsSet() {
			add(name, "is set together with TWINREEL_OAUTH_TOKEN_URL, which takes its place; set one of them")
		}
	}
	return out
}

// Plain returns the problems of addresses that are plain http beyond this machine, which is not taken unless it is allowed
// for sources as well.
func (c *Config) Plain() []settings.Problem {
	var out []settings.Problem
	check := func(name, where, address string) {
		if Plain(address) {
			out = append(out, settings.Problem{Variable: name, Text: where + "want https: no token goes over plain http, but with TWINREEL_SOURCE_ALLOW_HTTP=true"})
		}
	}
	check("TWINREEL_RESOLVER_URL", "", c.ResolverURL)
	check("TWINREEL_OAUTH_TOKEN_URL", "", c.OAuth.TokenURL)
	further, _ := c.further() // Check tells what is wrong with it
	for _, s := range further {
		check("TWINREEL_SOURCES_FILE", fmt.Sprintf("source %s, field resolver: ", s.Name), s.Resolver)
	}
	return out
}

// Plain reports whether an address is plain http beyond this machine.
func Plain(address string) bool {
	u, err := url.Parse(filled(address, "s", "r"))
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() != "localhost" && (err != nil || !ip.Unmap().IsLoopback())
}

// checkAddress says what is wrong with the address of an API, without showing it.
func checkAddress(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || !slices.Contains([]string{"http", "https"}, u.Scheme) {
		return fmt.Errorf("want an https address without user and password")
	}
	return nil
}

// The places in a resolver's address.
const (
	placeID     = "{recordingId}"
	placeSource = "{source}"
)

// checkTemplate says what is wrong with the address of a resolver, without showing it.
func checkTemplate(template string) error {
	_, rest, _ := strings.Cut(template, "://")
	authority, _, _ := strings.Cut(rest, "/")
	switch {
	case !strings.Contains(template, placeID):
		return fmt.Errorf("want %s in it, where the recording's ID goes", placeID)
	case strings.Contains(authority, "{"):
		return fmt.Errorf("only path and query may hold %s and %s", placeID, placeSource)
	}
	return checkAddress(filled(template, event.DefaultSource, "rec"))
}

// filled puts source and recording ID into a resolver's address.
func filled(template, source, recordingID string) string {
	return strings.NewReplacer(placeID, url.PathEscape(recordingID), placeSource, url.PathEscape(source)).Replace(template)
}

// general is the account that the environment sets up.
func (c *Config) general(client *http.Client) account {
	acc := account{
		resolver: c.ResolverURL, byName: strings.Contains(c.ResolverURL, placeSource), ask: fixedBearer(c.ResolverToken), media: fixedBearer(c.Token),
		hosts: lower(c.TokenHosts),
	}
	if c.OAuth.TokenURL != "" {
		granted := newGranted(c.OAuth, client)
		acc.ask, acc.media = granted, granted
	}
	return acc
}

// lower returns hosts in the form in which they are compared.
func lower(hosts []string) []string {
	out := make([]string, len(hosts))
	for i, h := range hosts {
		out[i] = strings.ToLower(h)
	}
	return out
}
