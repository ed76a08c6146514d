// Package worker is the program that both workers are: the two lanes of one tier's consumer, each delivery copied by
// package transfer, and the verdict on what failed. What differs between the workers is the tier's name and its store.
package worker

import (
	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/service"
	"github.com/twinreel/twinreel/pkg/settings"
)

// Config is all that a worker is set up with but its store.
type Config struct {
	Service service.Config
	NATS    queue.Config
	Redis   redisledger.Config
	Work    Work
	Retry   queue.Schedule
	Source  mediasource.Config
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
