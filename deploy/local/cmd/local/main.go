// Command local runs Twinreel on one machine: the real servers it needs, for tests, for a demonstration, or to be used
// by hand.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run(os.Args[1:])) }

// run runs a command, until it ends, a signal comes or the parent goes, and returns the exit code.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go whileParentLives(ctx, cancel)
	root := &cobra.Command{
		Use:           "local",
		Short:         "Twinreel on one machine, on real servers",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(prepare(), withServers(), withFleet(), demo(), up(), benchmark(), benchPart(), breaking(), metrics(), settings())
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "\nlocal: interrupted")
		return interrupted
	default:
		fmt.Fprintln(os.Stderr, "local:", err)
		return 1
	}
}

// interrupted is the exit code of a run that a signal ended, as shells have it for Ctrl-C.
const interrupted = 130

// exitCode is the exit code of a command that was run and has said itself what went wrong.
type exitCode int

// Error says the code.
func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// whileParentLives ends the run when its parent (make, go run, a shell) has gone, so that no servers are left behind.
func whileParentLives(ctx context.Context, cancel func()) {
	parent := os.Getppid()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for os.Getppid() == parent {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	cancel()
}
