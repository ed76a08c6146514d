package tools

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/twinreel/twinreel/deploy/local/azurite"
)

// azurite installs the pinned Azurite once and returns node and the Blob server's script.
func (t Tools) azurite(ctx context.Context) (node, script string, err error) {
	node, err = exec.LookPath("node")
	if err != nil {
		return "", "", errors.New("node is missing: the Azure Blob server of the one-machine stack (Azurite) needs it; " +
			"install Node.js 20 or newer (Debian: apt-get install nodejs npm) and try again")
	}
	dir := t.cache("azurite-" + azurite.Version)
	script = filepath.Join(dir, azurite.Entry)
	if _, err := os.Stat(script); err == nil {
		return node, script, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", "", errors.New("npm is missing: it installs Azurite, the Azure Blob server of the one-machine stack; " +
			"install it (Debian: apt-get install npm) and try again")
	}
	return node, script, t.fill(dir, func(dir string) error {
		fmt.Fprintf(t.Say, "installing Azurite %s by npm (once) …\n", azurite.Version)
		if err := copyAll(dir, azurite.Files); err != nil {
			return fmt.Errorf("write Azurite's npm files: %w", err)
		}
		cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
		cmd.Dir = dir
		return run(cmd)
	})
}

// copyAll writes every file of the file system's top folder into dir.
func copyAll(dir string, files fs.FS) error {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		b, err := fs.ReadFile(files, e.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}
