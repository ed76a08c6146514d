package config

import (
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
)

// Capacity is how a fleet is set up, as far as it decides how many recordings a day it can take.
type Capacity struct {
	NATS      queue.Config
	Sizes     queue.Sizes
	Room      Room
	Reconcile Reconcile
	Retention Retention
	Scrub     Scrub
	Fleet     Fleet
}

// Fleet is what capacity has to know of the other programs' settings.
type Fleet struct {
	Concurrency  int     `env:"TWINREEL_CONCURRENCY" envDefault:"16" meaning:"of a worker: recordings in flight, for capacity"`
	RequestLimit int     `env:"TWINREEL_PRIMARY_REQUEST_LIMIT" envDefault:"3500" meaning:"of ingress and worker-primary: requests a second that primary's provider documents, for capacity"`
	LimitShare   float64 `env:"TWINREEL_PRIMARY_LIMIT_SHARE" envDefault:"0.5" meaning:"of ingress and worker-primary: the share of it that Twinreel takes, for capacity"`
	PlatformRate int     `env:"TWINREEL_PLATFORM_RATE" envDefault:"10" meaning:"requests/s over the whole fleet to one source's API: resolver, and media from token hosts; while Redis is away each process takes a tenth"`
}

// Check implements settings.Checker.
func (f *Fleet) Check() []settings.Problem {
	var out []settings.Problem
	for _, c := range []struct {
		name string
		ok   bool
		want string
	}{
		{"TWINREEL_CONCURRENCY", f.Concurrency >= 1, "at least 1"},
		{"TWINREEL_PRIMARY_REQUEST_LIMIT", f.RequestLimit >= 1, "at least 1"},
		{"TWINREEL_PRIMARY_LIMIT_SHARE", f.LimitShare > 0 && f.LimitShare <= 1, "more than 0, at most 1"},
		{"TWINREEL_PLATFORM_RATE", f.PlatformRate >= 1, "at least 1"},
	} {
		if !c.ok {
			out = append(out, settings.Problem{Variable: c.name, Text: "want " + c.want})
		}
	}
	return out
}
