package queue

import (
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/twinreel/twinreel/pkg/settings"
)

// Schedule says how long a failed delivery waits before the next: Base, doubled each time, up to Cap, jittered.
type Schedule struct {
	Base time.Duration `env:"TWINREEL_RETRY_BASE" envDefault:"5s" meaning:"wait before the first redelivery of a failed message"`
	Cap  time.Duration `env:"TWINREEL_RETRY_CAP" envDefault:"5m" meaning:"longest wait; the wait doubles with each consecutive failure"`
}

// jitter spreads a wait by ±20 %.
const jitter = 0.2

// Check implements settings.Checker.
func (s *Schedule) Check() []settings.Problem {
	if s.Base <= 0 {
		return []settings.Problem{{Variable: "TWINREEL_RETRY_BASE", Text: "want more than 0"}}
	}
	if s.Cap < s.Base {
		return []settings.Problem{{Variable: "TWINREEL_RETRY_CAP", Text: "want at least TWINREEL_RETRY_BASE"}}
	}
	return nil
}

// Delay returns the wait after the n-th consecutive failure, n from 1.
func (s Schedule) Delay(n int) time.Duration {
	b := backoff.NewExponentialBackOff(backoff.WithInitialInterval(s.Base), backoff.WithMaxInterval(s.Cap), backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(jitter), backoff.WithMaxElapsedTime(0))
	d := b.NextBackOff()
	for i := 1; i < min(n, 64); i++ {
		d = b.NextBackOff()
	}
	return d
}
