package tools

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
)

// packages are where commands come from on Debian.
func packages() map[string]string {
	return map[string]string{
		"buildah": "buildah", "podman": "podman", "runc": "runc", "systemd-analyze": "systemd", "curl": "curl", "openssl": "openssl", "python3": "python3",
	}
}

// Commands makes sure that commands are there: it installs what is missing by apt-get, and says what to install where it cannot.
func Commands(ctx context.Context, names ...string) error {
	var missing []string
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			from := packages()[name]
			if from == "" {
				return fmt.Errorf("%s is missing, and nobody has said which package has it", name)
			}
			missing = append(missing, from)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("missing: %s; install them, or run this as root on Debian", strings.Join(missing, " "))
	}
	root, err := repo.Root()
	if err != nil {
		return err
	}
	unlock, err := lock(root)
	if err != nil {
		return err
	}
	defer unlock()
	fmt.Fprintf(os.Stderr, "installing %v by apt-get (once) …\n", missing)
	for _, args := range [][]string{{"update", "-q"}, append([]string{"install", "-y", "-q", "--no-install-recommends"}, missing...)} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}
