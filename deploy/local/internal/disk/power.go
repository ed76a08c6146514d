package disk

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// Power is an ext4 file system in an image file whose power can be cut: from that moment on nothing reaches the image any
// more, and what was only in the kernel's memory is gone. That is what kill -9 does not show: the page cache outlives a
// process, but not the machine.
//
// Not simulated is a drive with a cache of its own that it loses: what the kernel has handed to the device counts as kept.
type Power struct {
	Dir   string // where it is mounted
	image string
}

// Of FS_IOC_SHUTDOWN, by which file systems are tested for this (xfstests' "godown"): no more goes to the device from now
// on, and neither data nor journal are flushed before.
const (
	shutdown   = 0x8004587d // _IOR('X', 125, __u32)
	noLogFlush = 2
)

// NewPower makes one of so many MiB, its image beside dir, and mounts it at dir, which is made.
func NewPower(dir string, mib int64) (*Power, error) {
	p := &Power{Dir: dir, image: dir + ".img"}
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(p.image, nil, 0o600), os.Truncate(p.image, mib<<20)); err != nil {
		return nil, fmt.Errorf("make a disk that can lose power: %w", err)
	}
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		return nil, fmt.Errorf("make a disk that can lose power: mkfs.ext4 is missing; install e2fsprogs: %w", err)
	}
	if err := run("mkfs.ext4", "-q", "-F", p.image); err != nil {
		return nil, fmt.Errorf("make a disk that can lose power: %w", err)
	}
	return p, p.mount()
}

func (p *Power) mount() error {
	if err := mount(p.Dir, "-o", "loop", p.image); err != nil {
		return fmt.Errorf("mount a disk that can lose power: %w", err)
	}
	return nil
}

// Sync brings everything to the image, as the kernel does by itself in time.
func (p *Power) Sync() error {
	dir, err := os.Open(p.Dir)
	if err != nil {
		return fmt.Errorf("sync the disk: %w", err)
	}
	defer dir.Close()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return fmt.Errorf("sync the disk: %w", err)
	}
	return nil
}

// Cut cuts the power. Whoever writes on the disk is told of an I/O error from then on; it should be frozen before, so
// that it does not do what a machine without power cannot.
func (p *Power) Cut() error {
	dir, err := os.Open(p.Dir)
	if err != nil {
		return fmt.Errorf("cut the power: %w", err)
	}
	defer dir.Close()
	if err := unix.IoctlSetPointerInt(int(dir.Fd()), shutdown, noLogFlush); err != nil {
		return fmt.Errorf("cut the power: %w", err)
	}
	return nil
}

// Restore takes what the image held when the power was cut, copied before the kernel can add anything to it, and mounts
// the copy in place of the old one. Nobody may have anything on it open.
func (p *Power) Restore() error {
	kept := p.image + ".kept"
	if err := run("cp", "--sparse=always", p.image, kept); err != nil {
		return fmt.Errorf("copy the disk without power: %w", err)
	}
	if err := errors.Join(unmount(p.Dir), os.Rename(kept, p.image)); err != nil {
		return fmt.Errorf("take the disk without power off: %w", err)
	}
	return p.mount()
}

// Close takes it off and removes the image.
func (p *Power) Close() error { return errors.Join(unmount(p.Dir), os.Remove(p.image)) }
