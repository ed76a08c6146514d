package spool

import (
	"cmp"
	"fmt"
	"os"
	"syscall"

	"github.com/twinreel/twinreel/pkg/settings"
)

// Merging is what a Sorter's files take beside its records, at most, while some are merged.
const Merging = fan * Memory

// Room fails where dir ("": the system's own place) has no room for so many bytes of temporary files, or cannot be asked.
func Room(dir string, need settings.Bytes) error {
	dir = cmp.Or(dir, os.TempDir())
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("ask how much room %s has for temporary files: %w", dir, err)
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < uint64(need) {
		return fmt.Errorf("sorting on disk needs %.1f GiB for temporary files, and %s has %.1f GiB left: make room, or set TMPDIR to a folder on another disk",
			gib(uint64(need)), dir, gib(free))
	}
	return nil
}

func gib(n uint64) float64 { return float64(n) / (1 << 30) }
