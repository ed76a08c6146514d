package bench

import (
	"fmt"

	"github.com/twinreel/twinreel/deploy/local/internal/process"
)

// gauge reads the CPU time of several processes, by name; those of one name count together.
type gauge struct {
	pids map[string][]int
	from map[string]float64
}

func newGauge(pids map[string][]int) (*gauge, error) {
	g := &gauge{pids: pids}
	var err error
	g.from, err = g.read()
	return g, err
}

func (g *gauge) read() (map[string]float64, error) {
	out := make(map[string]float64, len(g.pids))
	for name, pids := range g.pids {
		for _, pid := range pids {
			s, err := process.CPUSeconds(pid)
			if err != nil {
				return nil, fmt.Errorf("read the CPU time of %s: %w", name, err)
			}
			out[name] += s
		}
	}
	return out, nil
}

// since is the CPU seconds that each has used since the gauge was made.
func (g *gauge) since() (map[string]float64, error) {
	now, err := g.read()
	for name := range now {
		now[name] -= g.from[name]
	}
	return now, err
}

// peakMiB is the most memory that a process ever had resident.
func peakMiB(pid int) float64 { return float64(process.PeakRSS(pid)) / (1 << 20) }
