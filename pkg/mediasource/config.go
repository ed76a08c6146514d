package mediasource

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/twinreel/twinreel/pkg/platform"
	"github.com/twinreel/twinreel/pkg/settings"
)

// minStall is the shortest stall time-out that can be told from an ordinary pause.
const minStall = 100 * time.Millisecond

// Config is how media are read.
type Config struct {
	RangeThreshold settings.Bytes `env:"TWINREEL_RANGE_THRESHOLD" envDefault:"64MiB" meaning:"from this size on the source is read by ranges"`
	MaxBytes       settings.Bytes `env:"TWINREEL_MAX_RECORDING_BYTES" envDefault:"20GiB" meaning:"the largest recording that is taken"`
	AllowedCIDRs   []string       `env:"TWINREEL_SOURCE_ALLOWED_CIDRS" meaning:"private ranges that a source may resolve to, comma-separated; anything else that is not public is refused"`
	AllowHTTP      bool           `env:"TWINREEL_SOURCE_ALLOW_HTTP" envDefault:"false" meaning:"take plain http media links as well"`
	StallTimeout   time.Duration  `env:"TWINREEL_SOURCE_STALL_TIMEOUT" envDefault:"30s" meaning:"how long a source may send no byte"`
	CopyOrigins    []string       `env:"TWINREEL_COPY_FROM_ORIGINS" meaning:"origins (scheme://host:port) of the sibling's store, comma-separated: the only ones that a redrive's copy may come from, exempt from the rules for addresses and https; unset: no copies from the sibling"`
	Platform       platform.Config
}

// Check implements settings.Checker.
func (c *Config) Check() []settings.Problem {
	var out []settings.Problem
	add := func(name, text string) { out = append(out, settings.Problem{Variable: name, Text: text}) }
	if c.RangeThreshold < 1 {
		add("TWINREEL_RANGE_THRESHOLD", "want at least 1")
	}
	if c.MaxBytes < 1 {
		add("TWINREEL_MAX_RECORDING_BYTES", "want at least 1")
	}
	for _, s := range c.AllowedCIDRs {
		if _, err := netip.ParsePrefix(s); err != nil {
			add("TWINREEL_SOURCE_ALLOWED_CIDRS", fmt.Sprintf("want ranges such as 10.0.0.0/8 or fd00::/8, got %.40q", s))
		}
	}
	if c.StallTimeout < minStall {
		add("TWINREEL_SOURCE_STALL_TIMEOUT", fmt.Sprintf("want at least %s", minStall))
	}
	for _, s := range c.CopyOrigins {
		if u, err := url.Parse(s); err != nil || u.Host == "" || originOf(u) != strings.ToLower(s) {
			add("TWINREEL_COPY_FROM_ORIGINS", "want origins such as https://account.blob.core.windows.net or http://10.0.0.7:9000, without path, comma-separated")
			break
		}
	}
	if !c.AllowHTTP {
		out = append(out, c.Platform.Plain()...)
	}
	return out
}

// originOf returns a URL's origin, as TWINREEL_COPY_FROM_ORIGINS has it; "" for one that has none.
func originOf(u *url.URL) string {
	if u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}

// origin is what two origins that are one have in common: the port is always there.
func origin(u *url.URL) string {
	o := originOf(u)
	switch {
	case o == "" || u.Port() != "":
		return o
	case u.Scheme == "https":
		return o + ":443"
	}
	return o + ":80"
}

// allowed returns the ranges by address family. What is no range was refused by Check.
func (c *Config) allowed() (v4, v6 []netip.Prefix) {
	for _, s := range c.AllowedCIDRs {
		p, err := netip.ParsePrefix(s)
		switch {
		case err != nil:
		case p.Addr().Is4():
			v4 = append(v4, p)
		default:
			v6 = append(v6, p)
		}
	}
	return v4, v6
}
