// Package tools gets what the checks need of other people's tools: built once from a pinned version into .cache.
package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
)

// Tool is a command that Go builds.
type Tool struct {
	Name    string // of the executable
	Package string // its import path
	Version string
	Tags    string // build tags, comma-separated: what leaves out parts that nobody here needs; "" for none
	// Replace are modules to be taken in a version of their own, path to version, where the tool's go.mod replaces them by folders
	// that its module does not contain: `go install` refuses such a tool.
	Replace map[string]string
}

// Path builds the tool where it was not built before, and returns its path.
func (t Tool) Path(ctx context.Context) (string, error) {
	root, err := repo.Root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, ".cache", t.Name+"-"+t.Version)
	path := filepath.Join(dir, t.Name)
	unlock, err := lock(root)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Fprintf(os.Stderr, "building %s %s (once) …\n", t.Name, t.Version)
	if len(t.Replace) > 0 {
		return path, t.buildApart(ctx, dir)
	}
	cmd := exec.CommandContext(ctx, "go", "install", "-tags="+t.Tags, t.Package+"@"+t.Version)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s %s: %w\n%s", t.Name, t.Version, err, out)
	}
	return path, nil
}

// buildApart builds the tool, which is a module's root, from a module that requires nothing else and says what is replaced.
func (t Tool) buildApart(ctx context.Context, dir string) error {
	at, err := os.MkdirTemp("", "build-"+t.Name)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(at) }()
	mod := fmt.Sprintf("module build\n\ngo 1.24\n\nrequire %s %s\n", t.Package, t.Version)
	for _, path := range slices.Sorted(maps.Keys(t.Replace)) {
		mod += fmt.Sprintf("\nreplace %s => %s %s\n", path, path, t.Replace[path])
	}
	if err := os.WriteFile(filepath.Join(at, "go.mod"), []byte(mod), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags="+t.Tags, "-o", filepath.Join(dir, t.Name), t.Package)
	cmd.Dir, cmd.Env = at, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s %s: %w\n%s", t.Name, t.Version, err, out)
	}
	return nil
}

// Module is another project's sources, by their version and checksum.
type Module struct {
	Path    string
	Version string
	Sum     string // as in go.sum: h1:…
}

// Dir downloads the module where it is not there, and returns its folder. Its files are read only.
func (m Module) Dir(ctx context.Context) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", m.Path+"@"+m.Version)
	cmd.Env, cmd.Stderr, cmd.Dir = append(os.Environ(), "GOWORK=off", "GOFLAGS="), &stderr, os.TempDir()
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("download %s %s: %w\n%s%s", m.Path, m.Version, err, out, stderr.String())
	}
	var got struct{ Dir, Sum string }
	if err := json.Unmarshal(out, &got); err != nil {
		return "", fmt.Errorf("download %s %s: %w", m.Path, m.Version, err)
	}
	if got.Sum != m.Sum {
		return "", fmt.Errorf("%s %s has the checksum %s, want %s", m.Path, m.Version, got.Sum, m.Sum)
	}
	return got.Dir, nil
}

// lock keeps two builds apart, also of two processes.
func lock(root string) (unlock func(), err error) {
	dir := filepath.Join(root, ".cache")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "tools.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}
