package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/backlog"
	"github.com/twinreel/twinreel/reconciler/internal/config"
)

// readTimeout bounds a command that only reads streams.
const readTimeout = 2 * time.Minute

// paceSpan is how long a tier that works off a backlog is watched to tell its pace.
const paceSpan = time.Second

func (a *app) tiers() *cobra.Command {
	c := &cobra.Command{
		Use:   "tiers",
		Short: "Show how each tier is, and how far it is behind; pause or resume one",
		Long: `Show each tier's state as most of its live workers see it (healthy, degraded, parked; unknown while none tells; paused by
an operator), the weight by which new events are routed to it, its backlog (events that wait to be taken live), backfill
(those routed to the sibling alone), what is in flight (delivered, not yet acknowledged), what of that was delivered more
than once, the age of the oldest unfinished event, how long it needs at its present pace, and the recordings with an open
dead letter. A tier without backlog, backfill and in-flight events is in step.`,
		Example: `  reconciler tiers
  reconciler tiers -o json | jq '.[] | select(.oldestSeconds > 600) | .tier'
  reconciler tiers pause primary --reason "bucket moves" --yes`,
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
			list, err := readTiers(ctx, conn)
			if err != nil {
				return err
			}
			return printList(a, list, "", []string{
				"TIER", "STATE", "WEIGHT", "BREAKER", "BACKLOG", "BACKFILL", "IN FLIGHT", "REDELIVERING", "OLDEST", "ETA", "DEAD LETTERS", "INSTANCES",
				"SINCE", "REASON",
			}, tierRow)
		},
	}
	c.AddCommand(a.tiersPause(), a.tiersResume())
	return c
}

func readTiers(ctx context.Context, conn *connection) ([]backlog.Tier, error) {
	standings, err := queue.NewBoard(conn.nc, conn.js).Read(ctx)
	if err != nil {
		return nil, err
	}
	list, err := backlog.Read(ctx, conn.js, standings, time.Now())
	if err != nil {
		return nil, err
	}
	return list, backlog.Pace(ctx, conn.js, list, paceSpan)
}

func tierRow(t backlog.Tier) []string {
	const reasonRunes = 60
	eta := ""
	if t.ETASeconds != nil {
		eta = seconds(*t.ETASeconds)
	}
	return []string{
		t.Tier.String(), t.State, fmt.Sprintf("%.2g", t.Weight), t.Breaker, number(t.Backlog), number(t.Backfill), number(t.InFlight),
		number(t.Redelivering), seconds(t.OldestSeconds), eta, number(t.DeadLetters), number(t.Instances), stamp(t.Since), shorten(t.Reason, reasonRunes),
	}
}

// seconds writes a span for people, "" for none.
func seconds(s float64) string {
	if s <= 0 {
		return ""
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}
