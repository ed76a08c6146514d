package readback

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrExists is returned for a file that is there already.
var ErrExists = errors.New("the file exists already")

// File is a file that gets its name only once its content is proven; until then it lies beside, under another.
type File struct {
	*os.File
	name  string
	force bool
}

// CreateFile begins a file. ErrExists, unless force.
func CreateFile(name string, force bool) (*File, error) {
	if _, err := os.Lstat(name); err == nil && !force {
		return nil, fmt.Errorf("%s: %w", name, ErrExists)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*.part")
	if err != nil {
		return nil, err
	}
	return &File{f, name, force}, nil
}

// Restart throws away what was written.
func (f *File) Restart() error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.Seek(0, 0)
	return err
}

// Keep writes the file to the disk and gives it its name. A file that came meanwhile is not overwritten: ErrExists.
func (f *File) Keep() error {
	err := errors.Join(f.Sync(), f.Close())
	if err == nil && f.force {
		err = os.Rename(f.Name(), f.name)
	} else if err == nil {
		err = f.link()
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	if dir, err := os.Open(filepath.Dir(f.name)); err == nil {
		_ = dir.Sync()
		_ = dir.Close()
	}
	return nil
}

// link names the file where no other has the name: a rename would replace it.
func (f *File) link() error {
	err := os.Link(f.Name(), f.name)
	switch {
	case err == nil:
		return os.Remove(f.Name())
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s: %w", f.name, ErrExists)
	}
	if _, there := os.Lstat(f.name); there == nil { // a file system without hard links
		return fmt.Errorf("%s: %w", f.name, ErrExists)
	}
	return os.Rename(f.Name(), f.name)
}

// Drop removes what is not kept.
func (f *File) Drop() {
	_ = f.Close()
	_ = os.Remove(f.Name())
}
