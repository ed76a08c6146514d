package tools

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// install installs Debian packages by apt-get and says why it could not: "" where it could.
func (t Tools) install(ctx context.Context, packages ...string) string {
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return "it is not installed, and this is not root on a system with apt-get"
	}
	fmt.Fprintf(t.Say, "installing %v by apt-get (once) …\n", packages)
	for _, args := range [][]string{{"update", "-q"}, append([]string{"install", "-y", "-q", "--no-install-recommends"}, packages...)} {
		cmd := exec.CommandContext(ctx, apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if err := run(cmd); err != nil {
			return err.Error()
		}
	}
	return ""
}

// Compiler makes sure that there is a C compiler, which Go's race detector needs.
func (t Tools) Compiler(ctx context.Context) error {
	if _, err := exec.LookPath("gcc"); err == nil {
		return nil
	}
	if why := t.install(ctx, "gcc", "libc6-dev"); why != "" {
		return errors.New("gcc is missing: Go's race detector needs it, and the tests run with it; install it " +
			"(Debian: apt-get install gcc libc6-dev) and try again: " + why)
	}
	return nil
}
