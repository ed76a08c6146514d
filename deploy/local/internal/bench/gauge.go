package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"github.com/twinreel/twinreel/deploy/local/internal/process"
)

// ticksPerSecond is the kernel's unit of CPU time in /proc, the same on every Linux that Go runs on.
const ticksPerSecond = 100

// cpuSeconds is the CPU time that a process has used so far, its own and the kernel's on its behalf.
func cpuSeconds(pid int) (float64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in brackets, may hold anything: what follows the last bracket is the third field.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has only %d fields", pid, len(fields))
	}
	var sum float64
	for _, field := range fields[11:13] { // utime, stime
		ticks, err := strconv.ParseFloat(string(field), 64)
		if err != nil {
			return 0, fmt.Errorf("read /proc/%d/stat: %w", pid, err)
		}
		sum += ticks
	}
	return sum / ticksPerSecond, nil
}

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
			s, err := cpuSeconds(pid)
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
