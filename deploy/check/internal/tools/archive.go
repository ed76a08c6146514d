package tools

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
)

// Archive is a package of npm that is only read: nothing of it is installed, and nothing of it runs.
type Archive struct {
	Package string
	Version string
	Sum     string // as in a lock file: sha512-…
}

// Files returns the files of the archive that are wanted, by their names in it.
func (a Archive) Files(ctx context.Context, wanted func(name string) bool) (map[string][]byte, error) {
	path, err := a.path(ctx)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	packed, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Package, err)
	}
	out := map[string][]byte{}
	for r := tar.NewReader(packed); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.Package, err)
		}
		if !wanted(h.Name) {
			continue
		}
		if out[h.Name], err = io.ReadAll(r); err != nil {
			return nil, fmt.Errorf("%s: %w", a.Package, err)
		}
	}
}

// path fetches the archive where it is not there, and returns its file.
func (a Archive) path(ctx context.Context) (string, error) {
	root, err := repo.Root()
	if err != nil {
		return "", err
	}
	name := strings.NewReplacer("@", "", "/", "-").Replace(a.Package) + "-" + a.Version + ".tgz"
	dir := filepath.Join(root, ".cache", "npm")
	path := filepath.Join(dir, name)
	unlock, err := lock(root)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, a.check(path)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	fmt.Fprintf(os.Stderr, "fetching %s %s by npm (once) …\n", a.Package, a.Version)
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "npm", "pack", "--silent", "--pack-destination", dir, a.Package+"@"+a.Version)
	cmd.Dir, cmd.Stderr = dir, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("fetch %s %s: %w\n%s", a.Package, a.Version, err, stderr.String())
	}
	if err := a.check(path); err != nil {
		return "", errors.Join(err, os.Remove(path))
	}
	return path, nil
}

// check holds the file against its checksum.
func (a Archive) check(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	sum := sha512.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum.Sum(nil)); got != a.Sum {
		return fmt.Errorf("%s %s has the checksum %s, want %s", a.Package, a.Version, got, a.Sum)
	}
	return nil
}
