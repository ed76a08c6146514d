package tools

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Programs are Twinreel's own, each a folder of the repository.
func Programs() []string { return []string{"ingress", "worker-primary", "worker-backup", "reconciler"} }

// Bin is the folder that Build builds into.
func (t Tools) Bin() string { return filepath.Join(t.Root, "bin") }

// Build builds every program into bin. A program that does not build leaves no old binary behind; the others are built
// all the same, and the error names each that was not.
func (t Tools) Build(ctx context.Context) error {
	unlock, err := t.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.MkdirAll(t.Bin(), 0o755); err != nil {
		return fmt.Errorf("make the folder of the programs: %w", err)
	}
	var errs []error
	for _, name := range Programs() {
		file := filepath.Join(t.Bin(), name)
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", file, ".")
		cmd.Dir = filepath.Join(t.Root, name)
		if err := run(cmd); err != nil {
			errs = append(errs, fmt.Errorf("%s does not build (try `go build .` in its folder): %w", name, err),
				os.RemoveAll(file))
		}
	}
	return errors.Join(errs...)
}
