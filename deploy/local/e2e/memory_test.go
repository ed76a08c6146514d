package e2e

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// maxPeak is what a worker may have resident at the most, whatever it copies.
const maxPeak = 350 * mib

// given four large recordings at once, when the workers copy them with the default settings, then neither needs more
// memory than it may, however large they are. TWINREEL_E2E_LONG=1 makes them 1 GiB each.
func TestMemory(t *testing.T) {
	b := newBed(t, setup{platform: platform.Config{Seed: 39}, env: map[string]string{"TWINREEL_RETRY_BASE": "5s", "TWINREEL_RETRY_CAP": "5m"}})
	size := int64(300 * mib)
	if os.Getenv("TWINREEL_E2E_LONG") != "" {
		size = 1024 * mib
	}
	var all []*platform.Recording
	for range 4 {
		all = append(all, b.add(platform.Spec{Size: size, SendSize: true}))
	}
	start := time.Now()
	var sent sync.WaitGroup
	for _, r := range all {
		sent.Go(func() { b.accepted(r) })
	}
	sent.Wait()
	b.settle()
	took := time.Since(start)
	b.noLetters()
	b.completed(all, len(all))
	for _, p := range []*fleet.Program{b.primary, b.backup} {
		peak := p.PeakRSS()
		t.Logf("%s: peak memory %d MiB over 4 recordings of %d MiB in %.1f s", p.Name, peak/mib, size/mib, took.Seconds())
		if peak == 0 || peak >= maxPeak {
			t.Errorf("%s had %d MiB resident, want less than %d", p.Name, peak/mib, maxPeak/mib)
		}
	}
}
