// Package folder reads a copy of the log from a directory, so that it can be verified by whoever has the copy and nothing
// else. The directory is the copy of audit/, or holds it.
package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
)

// Folder is an objstore.Reader of the files in a directory. It has no checksums and no versions.
type Folder struct {
	root *os.Root
	name string
	base string // what a key begins with that the directory stands for: audit/, or nothing
}

var _ objstore.Reader = (*Folder)(nil)

// Open opens a directory.
func Open(name string) (*Folder, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	f := &Folder{root: root, name: name}
	if info, err := root.Stat(strings.TrimSuffix(epoch.Root, "/")); err != nil || !info.IsDir() {
		f.base = epoch.Root
	}
	return f, nil
}

// Bucket implements objstore.Reader.
func (f *Folder) Bucket() string { return f.name }

// path is where the object of a key is.
func (f *Folder) path(key string) (string, error) {
	rest, found := strings.CutPrefix(key, f.base)
	if !found || !filepath.IsLocal(filepath.FromSlash(rest)) {
		return "", objstore.NotExist("open " + key)
	}
	return filepath.FromSlash(rest), nil
}

// failed puts a file's error into its class.
func failed(op string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return objstore.NotExist(op)
	}
	return fault.New(fault.Permanent, fault.Store, op, err)
}

// Stat implements objstore.Reader.
func (f *Folder) Stat(_ context.Context, key string) (objstore.Info, error) {
	path, err := f.path(key)
	if err != nil {
		return objstore.Info{}, err
	}
	info, err := f.root.Stat(path)
	switch {
	case err != nil:
		return objstore.Info{}, failed("stat "+key, err)
	case !info.Mode().IsRegular():
		return objstore.Info{}, objstore.NotExist("stat " + key)
	}
	return objstore.Info{Key: key, Size: info.Size(), Modified: info.ModTime(), Latest: true}, nil
}

// StatVersion implements objstore.Reader.
func (f *Folder) StatVersion(ctx context.Context, key, version string) (objstore.Info, error) {
	if version != "" {
		return objstore.Info{}, objstore.NotExist("stat a version of " + key)
	}
	info, err := f.Stat(ctx, key)
	info.Latest = false
	return info, err
}

// List implements objstore.Reader.
func (f *Folder) List(ctx context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		var all []objstore.Info
		err := fs.WalkDir(f.root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
			key := f.base + filepath.ToSlash(path)
			if err != nil || ctx.Err() != nil {
				return errors.Join(err, ctx.Err())
			}
			if !d.Type().IsRegular() || !strings.HasPrefix(key, prefix) {
				return nil
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			all = append(all, objstore.Info{Key: key, Size: info.Size(), Modified: info.ModTime(), Latest: true})
			return nil
		})
		if err != nil {
			yield(objstore.Info{}, failed("list "+prefix, err))
			return
		}
		slices.SortFunc(all, func(a, b objstore.Info) int { return strings.Compare(a.Key, b.Key) })
		for _, i := range all {
			if !yield(i, nil) {
				return
			}
		}
	}
}

// ListRange implements objstore.Reader.
func (f *Folder) ListRange(ctx context.Context, after, through string) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		for info, err := range f.List(ctx, "") {
			if err == nil && (info.Key <= after || through != "" && info.Key > through) {
				continue
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// Tags implements objstore.Reader: a file has none.
func (f *Folder) Tags(ctx context.Context, key string) (map[string]string, error) {
	_, err := f.Stat(ctx, key)
	return map[string]string{}, err
}

// Open implements objstore.Reader.
func (f *Folder) Open(_ context.Context, key string, off, n int64) (io.ReadCloser, error) {
	path, err := f.path(key)
	if err != nil {
		return nil, err
	}
	file, err := f.root.Open(path)
	if err != nil {
		return nil, failed("open "+key, err)
	}
	if _, err := file.Seek(off, io.SeekStart); err != nil {
		_ = file.Close()
		return nil, failed("open "+key, err)
	}
	if n < 0 {
		return file, nil
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(file, n), file}, nil
}

// Link implements objstore.Reader: a directory has no links.
func (f *Folder) Link(context.Context, string, time.Duration) (objstore.Link, error) {
	return objstore.Link{}, fmt.Errorf("link into %s: %w", f.name, objstore.ErrCannotLink)
}
