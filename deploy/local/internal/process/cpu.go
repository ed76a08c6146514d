package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// ticksPerSecond is the kernel's unit of CPU time in /proc, the same on every Linux that Go runs on.
const ticksPerSecond = 100

// CPUSeconds is the CPU time that a process has used so far, its own and the kernel's on its behalf.
func CPUSeconds(pid int) (float64, error) {
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
