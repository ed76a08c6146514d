package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// PeakRSS is the most memory, in bytes, that the process with that ID ever had resident; 0 of one that has ended.
func PeakRSS(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return highWater(status) << 10
}

// highWater finds VmHWM, in KiB, in the text of /proc/<pid>/status; 0 where there is none.
func highWater(status []byte) int64 {
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				return 0
			}
			return kib
		}
	}
	return 0
}
