package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
)

// noLetters says that there is nothing.
const noLetters = "no dead letters match"

func (a *app) dlqList() *cobra.Command {
	var sel selection
	c := &cobra.Command{
		Use:   "list",
		Short: "List dead letters, oldest first",
		Long:  "List dead letters, oldest first.\n\n" + groupHelp,
		Example: `  reconciler dlq list
  reconciler dlq list --tier backup --reason source_gone --since 24h
  reconciler dlq list -o ndjson | jq -r .idempotencyKey`,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := sel.filter(cmd, args, time.Now())
			if err != nil {
				return err
			}
			var s config.Queue
			if err := a.load(&s); err != nil {
				return err
			}
			conn, err := a.connect(cmd.Context(), s.NATS)
			if err != nil {
				return err
			}
			defer conn.close()
			ctx, cancel := context.WithTimeout(cmd.Context(), readTimeout)
			defer cancel()
			groups, err := letters.Read(ctx, conn.js)
			if err != nil {
				return err
			}
			return printList(a, letters.Shown(f.Choose(groups)), noLetters, letterHeader(), letterRow)
		},
	}
	sel.flags(c, "reason")
	return c
}
