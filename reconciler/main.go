// Command reconciler is the operator's command line: it provisions JetStream, shows recordings, tiers and dead letters,
// and sends dead letters again.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/twinreel/twinreel/reconciler/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := cli.Main(ctx, cli.World{Args: os.Args[1:], Lookup: os.LookupEnv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
	stop()
	os.Exit(code)
}
