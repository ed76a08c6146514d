package cli

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/capacity"
	"github.com/twinreel/twinreel/reconciler/internal/config"
)

// Bounds of waiting.
const (
	provisionTimeout = 2 * time.Minute
	monitorTimeout   = 5 * time.Second
)

func (a *app) provision() *cobra.Command {
	var perDay int64
	c := &cobra.Command{
		Use:   "provision",
		Short: "Create or update the streams, consumers and buckets",
		Long: `Create or update everything that Twinreel needs in JetStream: streams, durable consumers, key-value buckets. It may be
repeated at any time; when a step fails, everything is set back as it was.

The streams' sizes come from TWINREEL_RECORDINGS_MAX_BYTES, TWINREEL_DLQ_MAX_BYTES and TWINREEL_AUDIT_MAX_BYTES, or, with
--per-day, from the number of recordings a day: RECORDINGS for TWINREEL_RECORDINGS_MAX_AGE, RECORDINGS_DLQ for 90 days of
one dead letter in a hundred recordings, AUDIT for TWINREEL_LEDGER_TTL and seven days without a reconciler, all with
head-room. A server that cannot hold them is left as it is. With TWINREEL_NATS_MONITOR_URL set, the command says
beforehand what is needed and what is available.`,
		Example: `  reconciler provision
  reconciler provision --per-day 200000
  TWINREEL_NATS_REPLICAS=3 reconciler provision -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var s config.Provision
			if err := a.load(&s); err != nil {
				return err
			}
			if cmd.Flags().Changed("per-day") {
				sizes, err := capacity.ForDay(perDay, s.Sizes.MaxAge, s.Room.LedgerTTL)
				if err != nil {
					return usagef("--per-day %d: %w", perDay, err)
				}
				s.Sizes = sizes
				a.say("sizes for %d recordings a day: %s %s, %s %s, %s %s", perDay, queue.Recordings, sizes.Recordings,
					queue.DeadLetters, sizes.Letters, queue.Audit, sizes.Audit)
			}
			return a.runProvision(cmd.Context(), s)
		},
	}
	c.Flags().Int64Var(&perDay, "per-day", 0, "size the streams for so many recordings a day")
	return c
}

func (a *app) runProvision(ctx context.Context, s config.Provision) error {
	conn, err := a.connectAs(ctx, provisioner, s.NATS)
	if err != nil {
		return err
	}
	defer conn.close()
	ctx, cancel := context.WithTimeout(ctx, provisionTimeout)
	defer cancel()
	topology := queue.Topology{Sizes: s.Sizes, Replicas: s.NATS.Replicas, Peer: s.NATS.Peer}
	if s.Room.Monitor != "" {
		room, err := capacity.Measure(ctx, &http.Client{Timeout: monitorTimeout}, s.Room.Monitor, conn.js, topology)
		if err != nil {
			return err
		}
		a.say("file storage of the NATS server: %s", room)
		if !room.Fits() {
			return fmt.Errorf("nothing was changed: the NATS server cannot hold streams of these sizes (%s): free space, raise max_file_store, "+
				"or lower --per-day or TWINREEL_*_MAX_BYTES", room)
		}
	}
	changes, err := topology.Provision(ctx, conn.js)
	if err != nil {
		return fmt.Errorf("provision (everything is set back as it was, unless said otherwise): %w", err)
	}
	return printList(a, changes, "", []string{"KIND", "NAME", "ACTION"}, func(c queue.Change) []string {
		return []string{c.Kind, c.Name, c.Action}
	})
}
