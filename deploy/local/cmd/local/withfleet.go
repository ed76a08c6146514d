package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/deploy/local/internal/story"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
)

// fleetPatience bounds the wait for what the operator is given to work on.
const fleetPatience = 3 * time.Minute

// withFleet is the command that lets another command be the operator of a running fleet.
func withFleet() *cobra.Command {
	return &cobra.Command{
		Use:   "with-fleet -- COMMAND [ARG…]",
		Short: "Start servers, programs and platform, give them something to work on, and run a command as their operator",
		Long: `Start the servers, the four programs and the simulated platform, let a few recordings through, and run a command with the
operator's environment: every setting that a command of the reconciler needs, the programs first on PATH, and the names that
the runbooks use (deploy/runbooks/README.md says what each is). All of it ends with the command, and with its exit code.`,
		Example: "  local with-fleet -- reconciler tiers\n" +
			"  local with-fleet -- sh -c 'reconciler recording show $RECORDING'",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			config := story.DemoPlatform()
			config.LinkTTL, config.APIToken = 24*time.Hour, rand.Text()
			stage, err := open(cmd.Context(), "", config)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, stage.Close()) }()
			fmt.Fprintln(os.Stderr, "giving the operator something to work on …")
			ctx, cancel := context.WithTimeout(cmd.Context(), fleetPatience)
			defer cancel()
			env, err := workFor(ctx, stage)
			if err != nil {
				return err
			}
			bin, err := binaries()
			if err != nil {
				return err
			}
			env = append(env, "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
			return child(cmd.Context(), args, append(operatorEnv(stage), env...))
		},
	}
}

// binaries is the folder of the programs' binaries.
func binaries() (string, error) {
	root, err := tools.Root()
	return tools.Tools{Root: root}.Bin(), err
}
