// Command write writes the alert rules as the Prometheus operator reads them: `go run ./internal/kubernetes/write`, in
// deploy/check.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/twinreel/twinreel/deploy/check/internal/kubernetes"
	"github.com/twinreel/twinreel/deploy/check/internal/repo"
)

func main() {
	root, err := repo.Root()
	if err == nil {
		var rules []byte
		if rules, err = os.ReadFile(filepath.Join(root, "deploy", "monitoring", "rules.yaml")); err == nil {
			err = os.WriteFile(filepath.Join(root, "deploy", "kubernetes", "components", "monitoring", "rules.yaml"), kubernetes.Rules(rules), 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "write:", err)
		os.Exit(1)
	}
}
