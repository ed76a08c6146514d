package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/audit/adopt"
	"github.com/twinreel/twinreel/reconciler/internal/config"
)

func (a *app) auditAdopt() *cobra.Command {
	var flags logFlags
	var dryRun, yes bool
	c := &cobra.Command{
		Use:   "adopt",
		Short: "Take over what a lost region had not sealed of its log",
		Long: `Publish into this region's audit log what the other region's held, and had not sealed, when it was lost for good, as far as it
had come over into the mirror AUDIT_PEER. Each message keeps its ID, so that it is counted once, also when the command is
repeated, or when the region returns after all and seals it itself.

Run it only once the other region is given up: while it lives, it seals its log itself.`,
		Example: `  reconciler audit adopt --dry-run
  reconciler audit adopt --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes && !dryRun && !a.interactive() {
				return usagef("this changes things, and there is no terminal to ask: add --yes, or --dry-run to see what it would do")
			}
			return a.runAdopt(cmd.Context(), flags, dryRun, yes)
		},
	}
	flags.add(c)
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what it would do, change nothing")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

func (a *app) runAdopt(ctx context.Context, flags logFlags, dryRun, yes bool) error {
	var s config.Queue
	if err := a.load(&s); err != nil {
		return err
	}
	log, _, err := flags.log(ctx, a)
	if err != nil {
		return err
	}
	conn, err := a.connect(ctx, s.NATS)
	if err != nil {
		return err
	}
	defer conn.close()
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	adopter := adopt.Adopter{JS: conn.js, Publisher: queue.NewPublisher(conn.nc, conn.js), Log: log, DryRun: true}
	r, err := adopter.Run(ctx)
	if err != nil {
		return err
	}
	switch {
	case r.Adopted == 0 || dryRun:
		a.say("nothing was changed")
	case !yes && !a.confirm(fmt.Sprintf("Publish %d messages of the lost region's log here?", r.Adopted)):
		return errors.New("not confirmed; nothing was changed")
	default:
		adopter.DryRun = false
		r, err = adopter.Run(ctx)
	}
	return errors.Join(a.printOne(r, func(w io.Writer) error {
		of := string(r.Epoch)
		if of == "" {
			of = "(no store has any of it)"
		}
		return writeTable(w, nil, [][]string{
			{"lost region's log", of},
			{"sealed there up to", strconv.FormatUint(r.Sealed, 10)},
			{"came over up to", strconv.FormatUint(r.Held, 10)},
			{"taken over", strconv.FormatInt(r.Adopted, 10)},
		})
	}), err)
}
