package route

import "github.com/twinreel/twinreel/pkg/settings"

// Config is how many requests new recordings may cause at primary's store.
type Config struct {
	RequestLimit int     `env:"TWINREEL_PRIMARY_REQUEST_LIMIT" envDefault:"3500" meaning:"requests a second that primary's provider documents; over Twinreel's share of it new recordings go to backup first"`
	LimitShare   float64 `env:"TWINREEL_PRIMARY_LIMIT_SHARE" envDefault:"0.5" meaning:"the share of it that Twinreel takes, all ingresses together"`
}

// maxRequestLimit is more than any provider documents.
const maxRequestLimit = 1_000_000_000

// Check implements settings.Checker.
func (c *Config) Check() []settings.Problem {
	var out []settings.Problem
	if c.RequestLimit < 1 || c.RequestLimit > maxRequestLimit {
		out = append(out, settings.Problem{Variable: "TWINREEL_PRIMARY_REQUEST_LIMIT", Text: "want 1 to 1000000000 requests a second"})
	}
	if !(c.LimitShare > 0 && c.LimitShare <= 1) {
		out = append(out, settings.Problem{Variable: "TWINREEL_PRIMARY_LIMIT_SHARE", Text: "want more than 0 and at most 1"})
	}
	return out
}

// perSecond is the requests a second that all ingresses together may cause.
func (c *Config) perSecond() float64 { return float64(c.RequestLimit) * c.LimitShare }
