// Command write writes deploy/monitoring/dashboard.json from its description.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/twinreel/twinreel/deploy/check/internal/monitoring/dashboard"
	"github.com/twinreel/twinreel/deploy/check/internal/repo"
)

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, "write:", err)
		os.Exit(1)
	}
}

func write() error {
	root, err := repo.Root()
	if err != nil {
		return err
	}
	text, err := dashboard.JSON()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "deploy", "monitoring", "dashboard.json"), text, 0o644)
}
