package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/reconciler/internal/backlog"
	"github.com/twinreel/twinreel/reconciler/internal/config"
)

// readTimeout bounds a command that only reads streams.
const readTimeout = 2 * time.Minute

func (a *app) tiers() *cobra.Command {
	return &cobra.Command{
		Use:   "tiers",
		Short: "Show how far each tier is behind",
		Long: `Show each tier's backlog (events that wait to be taken live), backfill (those routed to the sibling alone), what is in
flight (delivered, not yet acknowledged), what of that was delivered more than once, the age of the oldest unfinished
event, and the recordings with an open dead letter. A tier without backlog, backfill and in-flight events is in step.`,
		Example: `  reconciler tiers
  reconciler tiers -o json | jq '.[] | select(.oldestSeconds > 600) | .tier'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
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
			list, err := backlog.Read(ctx, conn.js, time.Now())
			if err != nil {
				return err
			}
			return printList(a, list, "", []string{
				"TIER", "STATE", "WEIGHT", "BACKLOG", "BACKFILL", "IN FLIGHT", "REDELIVERING", "OLDEST", "DEAD LETTERS", "INSTANCES",
			}, tierRow)
		},
	}
}

func tierRow(t backlog.Tier) []string {
	oldest := ""
	if t.OldestSeconds > 0 {
		oldest = time.Duration(t.OldestSeconds * float64(time.Second)).Round(time.Second).String()
	}
	return []string{
		t.Tier.String(), t.State, fmt.Sprintf("%.1f", t.Weight), number(t.Backlog), number(t.Backfill), number(t.InFlight),
		number(t.Redelivering), oldest, number(t.DeadLetters), number(t.Instances),
	}
}
