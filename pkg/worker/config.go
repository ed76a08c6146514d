// Package worker is the program that both workers are: the two lanes of one tier's consumer, each delivery copied by
// package transfer, and the verdict on what failed. What differs between the workers is the tier's name and its store.
package worker

import (
	"time"

	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/service"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/tier/breaker"
)

// Config is all that a worker is set up with but its store.
type Config struct {
	Service service.Config
	NATS    queue.Config
	Redis   redisledger.Config
	Work    Work
	Retry   queue.Schedule
	Source  mediasource.Config
	Breaker breaker.Config
	Health  Health
	Follow  Follow
}

// Work bounds what a worker does at once, and how often it tries.
type Work struct {
	Concurrency int            `env:"TWINREEL_CONCURRENCY" envDefault:"16" meaning:"recordings in flight"`
	Part        settings.Bytes `env:"TWINREEL_PART_BYTES" envDefault:"8MiB" meaning:"size of a range and of a part"`
	Memory      settings.Bytes `env:"TWINREEL_MEMORY_LIMIT" envDefault:"128MiB" meaning:"bound on all media buffers together"`
	MaxAttempts int            `env:"TWINREEL_MAX_ATTEMPTS" envDefault:"12" meaning:"failures of one recording until it is a dead letter"`
}

// minPart is S3's smallest part.
const minPart = 5 << 20

// Check implements settings.Checker.
func (w *Work) Check() []settings.Problem {
	var out []settings.Problem
	add := func(name, text string) { out = append(out, settings.Problem{Variable: name, Text: text}) }
	if w.Concurrency < 1 || w.Concurrency > 1024 {
		add("TWINREEL_CONCURRENCY", "want 1 to 1024")
	}
	if w.Part < minPart || w.Part > 1<<30 {
		add("TWINREEL_PART_BYTES", "want 5MiB to 1GiB")
	}
	if w.Memory < w.Part {
		add("TWINREEL_MEMORY_LIMIT", "want at least TWINREEL_PART_BYTES")
	}
	if w.MaxAttempts < 1 {
		add("TWINREEL_MAX_ATTEMPTS", "want at least 1")
	}
	return out
}

// Health is when a worker holds its store for sick, and when it takes up what was routed to the sibling.
type Health struct {
	DegradedAfter int           `env:"TWINREEL_DEGRADED_AFTER" envDefault:"3" meaning:"consecutive store failures after which recordings are taken one at a time"`
	ProbeInterval time.Duration `env:"TWINREEL_PROBE_INTERVAL" envDefault:"10s" meaning:"between probe writes, whose latency against their own recent median sets the weight"`
	OffPeak       string        `env:"TWINREEL_OFFPEAK" meaning:"when backfill may take as much as live: 22:00-06:00 Europe/Berlin"`
}

// Check implements settings.Checker.
func (h *Health) Check() []settings.Problem {
	var out []settings.Problem
	add := func(name, text string) { out = append(out, settings.Problem{Variable: name, Text: text}) }
	if h.DegradedAfter < 1 {
		add("TWINREEL_DEGRADED_AFTER", "want at least 1")
	}
	if h.ProbeInterval <= 0 {
		add("TWINREEL_PROBE_INTERVAL", "want more than 0")
	}
	if _, err := parseOffPeak(h.OffPeak); err != nil {
		add("TWINREEL_OFFPEAK", err.Error())
	}
	return out
}

// RequestLimit is what worker-primary may ask of its store.
type RequestLimit struct {
	Limit int     `env:"TWINREEL_PRIMARY_REQUEST_LIMIT" envDefault:"3500" meaning:"requests a second that the store's provider documents"`
	Share float64 `env:"TWINREEL_PRIMARY_LIMIT_SHARE" envDefault:"0.5" meaning:"the share of it that Twinreel takes, all workers together"`
}

// Check implements settings.Checker.
func (r *RequestLimit) Check() []settings.Problem {
	var out []settings.Problem
	if r.Limit < 1 || r.Limit > 1_000_000_000 {
		out = append(out, settings.Problem{Variable: "TWINREEL_PRIMARY_REQUEST_LIMIT", Text: "want 1 to 1000000000 requests a second"})
	}
	if !(r.Share > 0 && r.Share <= 1) {
		out = append(out, settings.Problem{Variable: "TWINREEL_PRIMARY_LIMIT_SHARE", Text: "want more than 0, at most 1"})
	}
	return out
}

// PerSecond is the cap, in requests a second, that all live workers keep to together.
func (r RequestLimit) PerSecond() float64 { return float64(r.Limit) * r.Share }
