package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// prepare is the command that gets everything and starts nothing.
func prepare() *cobra.Command {
	var race bool
	cmd := &cobra.Command{
		Use:   "prepare",
		Short: "Get the servers into .cache, and start nothing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, set, err := ensure(cmd.Context())
			if err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "local: Redis is %s\n", set.RedisIs)
			if race {
				return t.Compiler(cmd.Context())
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&race, "race", false, "also make sure of the C compiler that Go's race detector needs")
	return cmd
}
