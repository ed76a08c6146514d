// Package repo is the repository as the checks see it: where its files are, and what its built programs say of themselves.
package repo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Programs are the four programs.
func Programs() []string { return []string{"ingress", "worker-primary", "worker-backup", "reconciler"} }

// Root is the repository's folder: the one with go.work, at or above the working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", errors.New("no go.work at or above the working directory: run this inside the repository")
		}
		dir = above
	}
}

// Path is the path of a file of the repository, for a test.
func Path(t testing.TB, elem ...string) string {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{root}, elem...)...)
}

// Setting is an environment variable that a program reads, as it says with --settings.
type Setting struct {
	Name     string `json:"name"`
	Default  string `json:"default"`
	Required bool   `json:"required"`
	Secret   bool   `json:"secret"` // its value may be in a file instead, named by the same name with _FILE
}

// Settings asks a program built into bin for its settings.
func Settings(ctx context.Context, program string) ([]Setting, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(root, "bin", program), "--settings", "-o", "json").Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its settings (make build): %w", program, err)
	}
	var list []Setting
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("the settings of %s: %w", program, err)
	}
	return list, nil
}
