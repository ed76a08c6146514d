package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/twinreel/twinreel/deploy/local/internal/tools"
	"github.com/twinreel/twinreel/pkg/testenv"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("e2e: -short leaves out every test that runs the programs, which is all of them")
		os.Exit(0)
	}
	code, err := run(context.Background(), m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

// run builds the programs, sets them aside, so that a build during the tests changes nothing, and runs the tests.
func run(ctx context.Context, m *testing.M) (code int, err error) {
	t, err := kit()
	if err != nil {
		return 0, err
	}
	if _, err := t.Ensure(ctx); err != nil {
		return 0, err
	}
	if err := t.Build(ctx); err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "twinreel-e2e-")
	if err != nil {
		return 0, fmt.Errorf("make a folder for the programs: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, name := range tools.Programs() {
		program, err := os.ReadFile(filepath.Join(t.Bin(), name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), program, 0o755)
		}
		if err != nil {
			return 0, fmt.Errorf("set %s aside: %w", name, err)
		}
	}
	if err := os.Setenv(testenv.Bin, dir); err != nil {
		return 0, fmt.Errorf("tell the tests where the programs are: %w", err)
	}
	return m.Run(), nil
}

// kit is where the servers come from.
func kit() (tools.Tools, error) {
	root, err := tools.Root()
	if err != nil {
		return tools.Tools{}, err
	}
	return tools.Tools{Root: root, Say: os.Stderr}, nil
}
