package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/deploy/local/internal/stack"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
)

// withServers is the command that starts the servers for another command.
func withServers() *cobra.Command {
	return &cobra.Command{
		Use:   "with-servers -- COMMAND [ARG…]",
		Short: "Start the servers, tell a command where they are (TWINREEL_TEST_*), and end them when it ends",
		Example: "  local with-servers -- go test ./pkg/...\n" +
			"  local with-servers -- sh -c 'env | grep TWINREEL_TEST_'",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, set, err := ensure(cmd.Context())
			if err != nil {
				return err
			}
			if err := t.Build(cmd.Context()); err != nil {
				// Not fatal: tests of one package need no program, and those that do fail for want of its file.
				fmt.Fprintf(os.Stderr, "local: tests that run these programs will fail:\n%.800s\n", err.Error())
			}
			s, err := stack.Start(cmd.Context(), set)
			if err != nil {
				return err
			}
			if err := s.StartPeer(cmd.Context()); err != nil {
				return errors.Join(err, s.Close())
			}
			return errors.Join(child(cmd.Context(), args, s.Environ(t.Bin())), s.Close())
		},
	}
}

// ensure gets what the servers need.
func ensure(ctx context.Context) (tools.Tools, tools.Set, error) {
	root, err := tools.Root()
	if err != nil {
		return tools.Tools{}, tools.Set{}, err
	}
	t := tools.Tools{Root: root, Say: os.Stderr}
	set, err := t.Ensure(ctx)
	return t, set, err
}

// child runs a command in a process group of its own with the added environment, and ends it when ctx ends.
func child(ctx context.Context, args, env []string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil && cmd.Process != nil {
		// What its children left over; there is nobody to report to that they were already gone.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		return errors.Join(context.Cause(ctx), exitCode(interrupted))
	}
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.Exited() {
		return exitCode(ended.ExitCode())
	}
	return err
}
