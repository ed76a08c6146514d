package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/twinreel/twinreel/deploy/check/internal/tools"
)

// Engine runs images under podman, with a storage of its own, as they are meant to be run: read-only, with no capability, with
// no way to gain one.
type Engine struct {
	dir string
}

// NewEngine returns an engine that keeps what it loads in a temporary folder. Its name is short: podman takes no long one.
func NewEngine(ctx context.Context) (*Engine, error) {
	if err := tools.Commands(ctx, "podman", "runc"); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tr-")
	return &Engine{dir: dir}, err
}

// Load takes an image from its archive.
func (e *Engine) Load(ctx context.Context, one Image) error {
	return run(e.podman(ctx, "load", "--quiet", "--input", one.Archive))
}

// Run is the command that runs an image with these arguments, and more of podman's own flags before them.
func (e *Engine) Run(ctx context.Context, one Image, flags []string, args ...string) *exec.Cmd {
	return e.podman(ctx, append(e.run(one, flags), args...)...)
}

func (e *Engine) run(one Image, flags []string) []string {
	own := []string{
		"run", "--rm", "--network", "host", "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges",
		"--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024",
	}
	return append(append(own, flags...), one.Name)
}

// global are the flags before podman's command. crun, its usual runtime, refuses machines that have both kinds of cgroups.
func (e *Engine) global() []string {
	return []string{
		"--root", filepath.Join(e.dir, "root"), "--runroot", filepath.Join(e.dir, "run"), "--storage-driver", "overlay",
		"--runtime", "runc", "--cgroup-manager", "cgroupfs",
	}
}

func (e *Engine) podman(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "podman", append(e.global(), args...)...)
}

// Close ends what runs, and removes what was loaded.
func (e *Engine) Close(ctx context.Context) error {
	return errors.Join(run(e.podman(ctx, "rm", "--all", "--force", "--time", "0")), run(e.podman(ctx, "rmi", "--all", "--force")), os.RemoveAll(e.dir))
}

// Stand puts a script in place of each program into the folder bin: it runs the program's image with the environment, the
// arguments and the signals that it gets, and lets it read the files below shared. They are made readable to the user that
// the image runs as, who is nobody here.
func (e *Engine) Stand(bin, shared string, list []Image) error {
	for _, one := range list {
		words := append(append([]string{"podman"}, e.global()...),
			e.run(one, []string{"--env-host", "--env", "TMPDIR=/tmp", "--tmpfs", "/tmp:rw,mode=1777", "--volume", shared + ":" + shared + ":ro"})...)
		for i := range words {
			words[i] = "'" + strings.ReplaceAll(words[i], "'", `'\''`) + "'"
		}
		script := fmt.Sprintf("#!/bin/sh\nchmod -R a+rX '%s' 2>/dev/null\nexec %s \"$@\"\n", shared, strings.Join(words, " "))
		if err := os.WriteFile(filepath.Join(bin, one.Program), []byte(script), 0o755); err != nil {
			return err
		}
	}
	return nil
}
