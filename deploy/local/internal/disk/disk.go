// Package disk makes file systems that fail as real ones do: one that is full, and one whose power is cut. Both are
// mounted, so they need root.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
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

// Move moves a folder of a server that does not run to another file system, and leaves a link in its place.
func Move(dir, to string) error {
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		return fmt.Errorf("move %s to another disk: %w", dir, err)
	}
	// What may read it, as before: CopyFS keeps permissions of files only as far as the umask lets it.
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		return os.Chmod(filepath.Join(to, at), info.Mode().Perm())
	})
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
