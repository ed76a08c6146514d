package route

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// board is a Board that says what the test does.
type board struct {
	mu sync.Mutex
	s  queue.Standings
}

func (b *board) Standings() queue.Standings {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.s
}

func (b *board) say(primary, backup tier.Standing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.s = queue.Standings{tier.Primary: primary, tier.Backup: backup}
}

// views is a standing of workers that see their store like this.
func views(list ...tier.View) tier.Standing {
	s := tier.Standing{Views: map[string]tier.View{}}
	for i, v := range list {
		s.Views[string(rune('a'+i))] = v
	}
	return s
}

// How a worker may see its store, and how a tier may stand.
var (
	well   = tier.View{State: tier.Healthy, Weight: 1}
	slow   = tier.View{State: tier.Healthy, Weight: 0.5, Reason: "probe writes take 3 times their median"}
	sick   = tier.View{State: tier.Degraded, Weight: 1, Reason: "s3 put: 503"}
	denied = tier.View{State: tier.Parked, Weight: 1, Reason: "s3 put: 403"}

	nobody = tier.Standing{}
	paused = tier.Standing{Views: map[string]tier.View{"a": well}, Pause: &tier.Pause{Reason: "move", By: "ada"}}
)

// fixture is a Router with its outside.
type fixture struct {
	*Router
	board    *board
	live     atomic.Int32
	registry *prometheus.Registry
	logs     *observer.ObservedLogs
}

// plenty is a request limit that no test reaches by itself.
var plenty = Config{RequestLimit: maxRequestLimit, LimitShare: 1}

func newFixture(t testing.TB, c Config) *fixture {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	f := &fixture{board: &board{}, registry: prometheus.NewRegistry(), logs: logs}
	f.live.Store(1)
	seeded := rand.New(rand.NewPCG(18, 5))
	f.Router = New(Options{
		Config: c, Board: f.board, Live: func() int { return int(f.live.Load()) }, Now: time.Now, Draw: seeded.Float64, Log: zap.New(core), Registry: f.registry,
	})
	return f
}

// routes returns how many of n recordings of that size go which way.
func (f *fixture) routes(n int, size *int64) map[queue.Route]int {
	out := map[queue.Route]int{}
	for range n {
		out[f.Route(size)]++
	}
	return out
}

// gathered returns the metrics' values, by name and label.
func (f *fixture) gathered(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			out[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return out
}

func bytesOf(n int64) *int64 { return &n }
