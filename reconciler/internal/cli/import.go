package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/intake"
)

// stdinName names stdin where a file is wanted.
const stdinName = "-"

func (a *app) importing() *cobra.Command {
	var source string
	var flags changeFlags
	c := &cobra.Command{
		Use:   "import --source SOURCE FILE|-",
		Short: "Publish webhooks that were never answered",
		Long: `Publish the webhooks in a file, or on stdin: their bodies as the platform sent or would send them, one a line (NDJSON). This is
for webhooks that were never answered with 200, such as a platform's own list of recordings after a long outage.

Each body is held to the same rules as by ingress; a signature is not asked for. What was accepted before is left out: what
an event in RECORDINGS, a dead letter, a digest entry, an erasure, or a sidecar in one of the stores names. Without the stores'
settings (TWINREEL_S3_…, TWINREEL_AZURE_…) they are not asked; then a recording of long ago may be sent once more, and is
found where it is. So the same file may be imported again. Refused lines are told with their numbers, and make the exit code
1; the others are published all the same. With --dry-run nothing is; without --yes it asks in a terminal, and refuses elsewhere.`,
		Example: `  reconciler import --source default webhooks.ndjson --dry-run
  reconciler import --source emea - --yes --rate 20 < webhooks.ndjson
  reconciler import --source default webhooks.ndjson --yes -o json | jq .refusals`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("want one file, or - for stdin")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if source == "" {
				return usagef("--source: want the source whose webhooks these are, such as %s", event.DefaultSource)
			}
			if err := event.CheckSource(source); err != nil {
				return usagef("--source: %w", err)
			}
			if args[0] == stdinName && !flags.yes && !flags.dryRun {
				return usagef("this changes things, and stdin is read, so that nobody can be asked: add --yes, or --dry-run to see what it would do")
			}
			if err := flags.check(a); err != nil {
				return err
			}
			in, closeIn, err := a.open(args[0])
			if err != nil {
				return err
			}
			defer closeIn()
			if !flags.yes && !flags.dryRun && !a.confirm(fmt.Sprintf("Publish what is new in %s for source %s?", args[0], source)) {
				return errors.New("not confirmed; nothing was changed")
			}
			return a.runImport(cmd.Context(), source, in, flags)
		},
	}
	c.Flags().StringVar(&source, "source", "", "the source that they are of (required)")
	flags.add(c)
	c.Flags().Lookup("rate").Usage = "at most so many webhooks a second"
	return c
}

// open opens a file, or stdin.
func (a *app) open(name string) (in io.Reader, closeIn func(), err error) {
	if name == stdinName {
		return a.Stdin, func() {}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, usageError{err}
	}
	return f, func() { _ = f.Close() }, nil
}

func (a *app) runImport(ctx context.Context, source string, in io.Reader, flags changeFlags) error {
	var s config.Import
	if err := a.load(&s); err != nil {
		return err
	}
	conn, err := a.connect(ctx, s.NATS)
	if err != nil {
		return err
	}
	defer conn.close()
	known, err := a.readKnown(ctx, conn, s.NATS.Peer)
	if err != nil {
		return err
	}
	told := time.Now()
	m := intake.Importer{
		Source: source, Participants: s.Webhook.Participants, Known: known.Known, Now: time.Now, Rate: rate.NewLimiter(rate.Limit(flags.rate), 1),
		Step: func(r intake.Result) {
			if time.Since(told) >= tellEvery {
				told = time.Now()
				a.say("so far: %s", counts(r))
			}
		},
	}
	if !flags.dryRun {
		m.Publisher = queue.NewPublisher(conn.nc, conn.js)
	}
	r, err := m.Run(ctx, in)
	if flags.dryRun {
		a.say("a dry run: nothing was published")
	}
	if err == nil && r.Refused > 0 {
		err = fmt.Errorf("%d lines were refused", r.Refused)
	}
	return errors.Join(a.printOne(r, func(w io.Writer) error { return writeImport(w, r) }), err)
}

func (a *app) readKnown(ctx context.Context, conn *connection, peer queue.Peer) (*intake.Ledger, error) {
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	return intake.ReadLedger(ctx, conn.js, peer, a.stores(ctx))
}

// scanTimeout bounds the reading of all streams.
const scanTimeout = 30 * time.Minute

func counts(r intake.Result) string {
	return fmt.Sprintf("accepted %d, known before %d, ignored %d, refused %d", r.Accepted, r.Known, r.Ignored, r.Refused)
}

func writeImport(w io.Writer, r intake.Result) error {
	if _, err := fmt.Fprintln(w, counts(r)); err != nil {
		return err
	}
	if len(r.Refusals) == 0 {
		return nil
	}
	var rows [][]string
	for _, one := range r.Refusals {
		rows = append(rows, []string{number(one.Line), fault.Clean(one.Reason)})
	}
	return writeTable(w, []string{"LINE", "REFUSED BECAUSE"}, rows)
}
