// Package disk makes file systems that fail as real ones do: one that is full, and one whose power is cut. Both are
// mounted, so they need root.
package disk

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// ErrNeedsRoot says that this user may not mount anything.
var ErrNeedsRoot = errors.New("mounting a file system needs root")

// mount mounts what (a device, an image, or a name) at dir.
func mount(dir string, args ...string) error {
	if os.Geteuid() != 0 {
		return ErrNeedsRoot
	}
	return run("mount", append(args, dir)...)
}

// unmount takes dir off; one that is not mounted is no error.
func unmount(dir string) error {
	err := run("umount", dir)
	if err != nil && strings.Contains(err.Error(), "not mounted") {
		return nil
	}
	return err
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Move moves a folder of a server that does not run to another file system, and leaves a link in its place. Everything about
// its files goes along, extended attributes as well: the S3 server keeps what it knows of objects there.
func Move(dir, to string) error {
	err := run("cp", "-a", dir, to)
	if err == nil {
		err = os.RemoveAll(dir)
	}
	if err == nil {
		err = os.Symlink(to, dir)
	}
	if err != nil {
		return fmt.Errorf("move %s to another disk: %w", dir, err)
	}
	return nil
}
