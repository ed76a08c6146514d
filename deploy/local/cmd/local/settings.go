package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/deploy/local/internal/readme"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
)

// settings is the command that brings the READMEs' tables of settings, and the page of plans, up to date.
func settings() *cobra.Command {
	return &cobra.Command{
		Use:   "settings",
		Short: "write the programs' --settings into the READMEs, and capacity's plans into its page (build them first)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			root, err := tools.Root()
			if err != nil {
				return err
			}
			changed, err := readme.Update(cmd.Context(), root, tools.Tools{Root: root}.Bin(), tools.Programs(), false)
			for _, file := range changed {
				fmt.Fprintln(cmd.OutOrStdout(), "updated", file)
			}
			return err
		},
	}
}
