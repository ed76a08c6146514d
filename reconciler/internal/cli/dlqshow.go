package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
)

func (a *app) dlqShow() *cobra.Command {
	var sequence uint64
	c := &cobra.Command{
		Use:   "show ID | show --sequence N",
		Short: "Show the letters of a recording, with their events",
		Long: `Show every letter of a recording, ungrouped, with its headers and its event, but without media URLs (their hosts only)
and without participants' names. A letter that names no recording is shown by its sequence. None: exit code 1.`,
		Example: `  reconciler dlq show rec-8a7f
  reconciler dlq show emea/rec-8a7f -o json | jq '.[].error'
  reconciler dlq show --sequence 17`,
		Args: func(cmd *cobra.Command, args []string) error {
			if bySequence := cmd.Flags().Changed("sequence"); bySequence && len(args) > 0 || !bySequence && len(args) != 1 {
				return usagef("want one recording ID, or --sequence")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			find := func(ctx context.Context, js jetstream.JetStream) ([]letters.Full, error) {
				return letters.Get(ctx, js, sequence)
			}
			if len(args) > 0 {
				key, err := keyOf(args[0])
				if err != nil {
					return err
				}
				find = func(ctx context.Context, js jetstream.JetStream) ([]letters.Full, error) {
					return letters.Find(ctx, js, key)
				}
			}
			return a.runDLQShow(cmd.Context(), find)
		},
	}
	c.Flags().Uint64Var(&sequence, "sequence", 0, "the letter of this sequence in RECORDINGS_DLQ")
	return c
}

func (a *app) runDLQShow(ctx context.Context, find func(context.Context, jetstream.JetStream) ([]letters.Full, error)) error {
	var s config.Queue
	if err := a.load(&s); err != nil {
		return err
	}
	conn, err := a.connect(ctx, s.NATS)
	if err != nil {
		return err
	}
	defer conn.close()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	list, err := find(ctx, conn.js)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("no such dead letter")
	}
	if a.format == table {
		return writeLetters(a.Stdout, list)
	}
	return printList(a, list, "", nil, nil)
}

// writeLetters writes letters for people: each by itself, its event as JSON.
func writeLetters(w io.Writer, list []letters.Full) error {
	for i, l := range list {
		if i > 0 {
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
		}
		err := writeTable(w, nil, [][]string{
			{"tier", l.Tier.String()},
			{"sequence", number(l.Sequence)},
			{"recording", l.IdempotencyKey},
			{"reason", string(l.Reason)},
			{"error", l.Error},
			{"attempts", number(l.Attempts)},
			{"dead at", stamp(&l.DeadAt)},
			{"origin", fmt.Sprintf("%s, sequence %d", l.OriginSubject, l.OriginSequence)},
			{"trace", l.Traceparent},
		})
		if err == nil && l.Event == nil {
			_, err = fmt.Fprintf(w, "body: %d bytes, %s\n", l.Bytes, l.EventError)
		} else if err == nil {
			err = writeJSON(w, l.Event, "  ")
		}
		if err != nil {
			return err
		}
	}
	return nil
}
