package runbooks

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
)

// patience bounds each command: whoever reads the page at night waits no longer either.
const patience = 2 * time.Minute

// The addresses that pages name are the programs' defaults. The fleet's programs have free ports instead.
const (
	adminAddr = "127.0.0.1:9090" // TWINREEL_ADMIN_ADDR of whichever program is meant
	apiAddr   = "127.0.0.1:8081" // TWINREEL_API_ADDR
)

// Fleet is a running fleet whose operator we are.
type Fleet struct {
	cmd   *exec.Cmd
	stdin io.Closer
	env   []string // KEY=value
}

// wait writes its environment into the file $0, says so, and ends when its input does.
const wait = `env -0 >"$0" && echo ready && { read _ || :; }`

// Start starts servers, programs and platform, once for all pages. Its folder holds the operator's environment, credentials
// included.
func Start(ctx context.Context, dir string) (*Fleet, error) {
	root, err := repo.Root()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "operator.env")
	cmd := exec.CommandContext(ctx, filepath.Join(root, "bin", "local"), "with-fleet", "--", "sh", "-c", wait, file)
	// Its own end comes with the end of its input; when ctx ends before, it still is to remove its servers.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a fleet (make build, and bin/local): %w", err)
	}
	f := &Fleet{cmd: cmd, stdin: stdin}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		return nil, errors.Join(fmt.Errorf("start a fleet: it said %q (%v)", line, err), f.Close())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	f.env = strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
	return f, nil
}

// Close ends it all, and fails where a program or server did not end in good order.
func (f *Fleet) Close() error {
	err := f.stdin.Close()
	if ended := f.cmd.Wait(); ended != nil {
		err = errors.Join(err, fmt.Errorf("end the fleet: %w", ended))
	}
	return err
}

// value is a variable of the operator's environment; "" where it is not set.
func (f *Fleet) value(name string) string {
	for _, line := range slices.Backward(f.env) {
		if v, ok := strings.CutPrefix(line, name+"="); ok {
			return v
		}
	}
	return ""
}

// Run runs a command in the folder, and fails where it ends with another code than it says. One that asks a program's admin
// address is asked of all four.
func (f *Fleet) Run(ctx context.Context, dir string, c Command) error {
	text := strings.ReplaceAll(c.Text, apiAddr, f.value("API"))
	if !strings.Contains(text, adminAddr) {
		return f.shell(ctx, dir, text, c.Codes)
	}
	var errs []error
	for _, name := range []string{"INGRESS_ADMIN", "PRIMARY_ADMIN", "BACKUP_ADMIN", "RECONCILER_ADMIN"} {
		errs = append(errs, f.shell(ctx, dir, strings.ReplaceAll(text, adminAddr, f.value(name)), c.Codes))
	}
	return errors.Join(errs...)
}

// Knows fails where a command that a sentence names is none, or has a flag that there is not. It is asked for its help, since
// what it is about is not there.
func (f *Fleet) Knows(ctx context.Context, c Command) error {
	words := path.FindString(c.Text)
	out, err := f.output(ctx, os.TempDir(), c.Text+" --help", c.Codes)
	if err == nil && !strings.Contains(out, "\n  "+words+" ") && !strings.Contains(out, "\n  "+words+"\n") {
		err = fmt.Errorf("%s: there is no %s", c.Text, words)
	}
	return err
}

// shell runs a line as a shell does that takes a name without a value for a mistake.
func (f *Fleet) shell(ctx context.Context, dir, line string, codes []int) error {
	_, err := f.output(ctx, dir, line, codes)
	return err
}

// output is shell, and returns what the line said.
func (f *Fleet) output(ctx context.Context, dir, line string, codes []int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-u", "-c", line)
	var out bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = f.env, dir, &out, &out
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && (!errors.As(err, &ended) || ctx.Err() != nil) {
		return "", fmt.Errorf("%s: %w (%v)\n%s", line, err, context.Cause(ctx), tail(out.String()))
	}
	if code := cmd.ProcessState.ExitCode(); !slices.Contains(codes, code) {
		return "", fmt.Errorf("%s: exit code %d, want %v\n%s", line, code, codes, tail(out.String()))
	}
	return out.String(), nil
}

// tail is the end of what a command said.
func tail(s string) string {
	const most = 2000
	return s[max(0, len(s)-most):]
}
