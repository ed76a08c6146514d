package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Small is a file system in memory that has little room.
type Small struct{ Dir string }

// NewSmall mounts one of so many MiB at dir, which is made.
func NewSmall(dir string, mib int) (*Small, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a small disk: %w", err)
	}
	if err := mount(dir, "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", mib), "small"); err != nil {
		return nil, fmt.Errorf("make a small disk: %w", err)
	}
	return &Small{Dir: dir}, nil
}

// filler is the file that takes what room there is.
func (d *Small) filler() string { return filepath.Join(d.Dir, "filler") }

// chunk is what is written at a time, and thereby the most room that is left over when the disk is full.
const chunk = 4096

// Fill takes all room that is left.
func (d *Small) Fill() error {
	f, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("fill the small disk: %w", err)
	}
	defer f.Close()
	for {
		if _, err := f.Write(make([]byte, chunk)); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return fmt.Errorf("fill the small disk: %w", err)
		}
	}
}

// Empty gives back what Fill took.
func (d *Small) Empty() error { return os.Remove(d.filler()) }

// Close takes it off, with all that is on it.
func (d *Small) Close() error { return unmount(d.Dir) }
