package chaos

import (
	"fmt"
	"os"
)

// cpu is what the machine's processors have done so far, in ticks.
type cpu struct{ all, idle float64 }

// readCPU reads the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal.
func readCPU() (cpu, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return cpu{}, fmt.Errorf("read how busy the machine is: %w", err)
	}
	var t [8]float64
	if _, err := fmt.Sscanf(string(text), "cpu %f %f %f %f %f %f %f %f", &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]); err != nil {
		return cpu{}, fmt.Errorf("read how busy the machine is: %w", err)
	}
	c := cpu{idle: t[3] + t[4]}
	for _, v := range t {
		c.all += v
	}
	return c, nil
}

// idleSince is the share of time that the processors were idle.
func (c cpu) idleSince(before cpu) float64 {
	if c.all == before.all {
		return 0
	}
	return (c.idle - before.idle) / (c.all - before.all)
}
