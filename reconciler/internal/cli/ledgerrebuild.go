package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/daemon"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
	"github.com/twinreel/twinreel/reconciler/internal/rebuild"
)

func (a *app) ledgers() *cobra.Command {
	return parent("ledger", "The records in Redis", a.ledgerRebuild())
}

func (a *app) ledgerRebuild() *cobra.Command {
	var dryRun, yes bool
	c := &cobra.Command{
		Use:   "rebuild",
		Short: "Fill Redis again after it was lost",
		Long: `Fill Redis again after it was lost: with the records of the recordings of which the streams tell within TWINREEL_LEDGER_TTL, as
the workers had written them, and with the claims that say done. AUDIT tells of copies, RECORDINGS when each was accepted,
RECORDINGS_DLQ of open letters; each copy is written only if its store has it now. Where AUDIT tells nothing of a recording
that RECORDINGS names, the stores are asked by its sidecar.

Nothing that a worker wrote is replaced, so it may run beside them, be broken off and be repeated. Retries are told by nobody:
they begin again at 0. What is older is not missed: recording show puts it together from the stores. Without it, Redis costs
work done twice, and nothing else. With --dry-run nothing is written.`,
		Example: `  reconciler ledger rebuild --dry-run
  reconciler ledger rebuild --yes -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !dryRun {
				if err := a.mayAsk(yes); err != nil {
					return err
				}
			}
			return a.runRebuild(cmd.Context(), dryRun, yes)
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what it would do, change nothing")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

func (a *app) runRebuild(ctx context.Context, dryRun, yes bool) error {
	var s config.Rebuild
	if err := a.load(&s); err != nil {
		return err
	}
	conn, err := a.connect(ctx, s.NATS)
	if err != nil {
		return err
	}
	defer conn.close()
	if !dryRun && !yes && !a.confirm("Fill Redis from the streams and the stores?") {
		return errors.New("not confirmed; nothing was changed")
	}
	r := rebuild.Rebuilder{JS: conn.js, Since: time.Now().Add(-s.Redis.TTL), Step: a.rebuilding()}
	if r.Stores, err = daemon.OpenStores(ctx, s.Stores, func(text string) { a.say("aws credentials: %s", text) }); err != nil {
		return err
	}
	stones, err := erasure.Open(ctx, conn.js)
	if err != nil {
		return err
	}
	if r.Forgotten, err = stones.Hashes(ctx); err != nil {
		return err
	}
	l, err := redisledger.Open(s.Redis)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	if !dryRun {
		r.Ledger = l
	}
	result, err := r.Run(ctx)
	if err != nil {
		err = fmt.Errorf("fill Redis (what is filled by now is right; repeat the command): %w", err)
	}
	if dryRun {
		a.say("a dry run: nothing was written")
	}
	return errors.Join(a.printOne(result, func(w io.Writer) error { return writeRebuilt(w, result) }), err)
}

// rebuilding tells now and then how far it is.
func (a *app) rebuilding() func(rebuild.Result) {
	var mu sync.Mutex
	told := time.Now()
	return func(r rebuild.Result) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(told) >= tellEvery {
			told = time.Now()
			a.say("so far: %d copies proven, %d missing, %d events, %d letters", r.Copies, r.Missing, r.Events, r.Letters)
		}
	}
}

func writeRebuilt(w io.Writer, r rebuild.Result) error {
	return writeTable(w, nil, [][]string{
		{"copies proven by their store", number(r.Copies)},
		{"told of, and not there", number(r.Missing)},
		{"open letters", number(r.Letters)},
		{"events read", number(r.Events)},
		{"left out: forgotten", number(r.Forgotten)},
		{"writes that changed Redis", number(r.Written)},
	})
}
