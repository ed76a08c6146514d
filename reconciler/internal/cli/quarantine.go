package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
)

// quarantineHelp is what each of the commands says of names.
const quarantineHelp = `ID is a recording's, as recording show takes it, or object:KEY for an object that belongs to no recording.`

func (a *app) quarantine() *cobra.Command {
	return parent("quarantine", "What differs, and is never mended by overwriting", a.quarantineList(), a.quarantineShow(), a.quarantineResolve())
}

func (a *app) quarantineList() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List what is in quarantine",
		Long: `List what is in quarantine, oldest change first: copies of other bytes or sizes, second versions, two keys of one recording,
objects that nobody knows. Such a difference is evidence: Twinreel never overwrites it. Somebody has to look, do what is to
be done in the stores, and then resolve the record.`,
		Example: `  reconciler quarantine list
  reconciler quarantine list --all -o ndjson | jq -r 'select(.resolved == null) | .idempotencyKey'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withBook(cmd.Context(), func(ctx context.Context, book *quarantine.Book, _ *connection) error {
				list := []quarantine.Record{}
				for r, err := range book.All(ctx) {
					if err != nil {
						return err
					}
					if all || r.Open() {
						list = append(list, r)
					}
				}
				return printList(a, list, "nothing is in quarantine", []string{"NAME", "SINCE", "DIFFERENCES", "RESOLVED"}, quarantineRow)
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "those that are resolved, too")
	return c
}

func (a *app) quarantineShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show one record with its evidence",
		Long: `Show what differs, with its evidence, and who resolved it. ` + quarantineHelp + `
Not in quarantine: exit code 1.`,
		Example: `  reconciler quarantine show rec-8a7f
  reconciler quarantine show object:recordings/stranger.bin -o json`,
		Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBook(cmd.Context(), func(ctx context.Context, book *quarantine.Book, _ *connection) error {
				r, err := book.Get(ctx, args[0])
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				return a.printOne(r, func(w io.Writer) error { return writeQuarantined(w, r) })
			})
		},
	}
}

func (a *app) quarantineResolve() *cobra.Command {
	var why string
	var yes bool
	c := &cobra.Command{
		Use:   "resolve ID --reason REASON",
		Short: "Say that somebody has looked at a record",
		Long: `Say that somebody has looked at a record, and why it may stay as it is. The evidence stays in the record; what it names is
reported no more, however often it is found again, while anything else opens the record again. Nothing is changed in the
stores. It is audited with who resolved it, and why. ` + quarantineHelp,
		Example: `  reconciler quarantine resolve rec-8a7f --reason "older version removed, case 4711"
  reconciler quarantine resolve object:recordings/stranger.bin --reason "test of the migration" --yes`,
		Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			why = strings.TrimSpace(why)
			if err := checkWhy("--reason", why); err != nil {
				return err
			}
			if err := a.mayAsk(yes); err != nil {
				return err
			}
			return a.withBook(cmd.Context(), func(ctx context.Context, book *quarantine.Book, conn *connection) error {
				return a.resolve(ctx, book, conn, args[0], why, yes)
			})
		},
	}
	c.Flags().StringVar(&why, "reason", "", "why it may stay as it is, for the audit log (required)")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

// oneName wants one argument: an idempotency key, or the name of an object that belongs to no recording.
func oneName(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("want one recording, or object:KEY")
	}
	if key, found := strings.CutPrefix(args[0], quarantine.Stranger("")); found {
		if key == "" {
			return usagef("%s: want an object's key after it", args[0])
		}
		return nil
	}
	key, err := keyOf(args[0])
	if err == nil {
		args[0] = key
	}
	return err
}

// withBook runs what reads or changes the quarantine.
func (a *app) withBook(ctx context.Context, do func(context.Context, *quarantine.Book, *connection) error) error {
	conn, err := a.connectQueue(ctx)
	if err != nil {
		return err
	}
	defer conn.close()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	book, err := quarantine.Open(ctx, conn.js)
	if err != nil {
		return err
	}
	return do(ctx, book, conn)
}

// resolve writes the audit event first: what is done is never missing in the log.
func (a *app) resolve(ctx context.Context, book *quarantine.Book, conn *connection, name, why string, yes bool) error {
	r, err := book.Get(ctx, name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if !yes && !a.confirmed(r) {
		return errors.New("not confirmed; nothing was changed")
	}
	err = queue.NewPublisher(conn.nc, conn.js).Audit(ctx, event.Audit{
		Kind: event.AuditQuarantined, Tier: event.AuditAll, Time: time.Now(),
		Data: event.AuditData{IdempotencyKey: r.IdempotencyKey, ObjectKey: r.ObjectKey, Reason: "resolved: " + why, By: operator()},
	})
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	if err := book.Resolve(ctx, r, operator(), why); err != nil {
		return fmt.Errorf("resolve %s: %w", name, err)
	}
	if r, err = book.Get(ctx, name); err != nil {
		return err
	}
	return a.printOne(r, func(w io.Writer) error { return writeQuarantined(w, r) })
}

func (a *app) confirmed(r quarantine.Record) bool {
	for _, d := range r.Differences {
		a.say("%s, %s: %s", d.Kind, d.Tier, d.Evidence)
	}
	return a.confirm(fmt.Sprintf("Resolve these %d differences of %s?", len(r.Differences), r.Name()))
}

func quarantineRow(r quarantine.Record) []string {
	var kinds []string
	for _, d := range r.Differences {
		kinds = append(kinds, d.Kind+" "+d.Tier)
	}
	for _, t := range tier.All() {
		if _, ok := r.Discarded[t]; ok {
			kinds = append(kinds, "letter discarded "+t.String())
		}
	}
	return []string{r.Name(), stamp(&r.Since), strings.Join(kinds, ", "), resolvedText(r.Resolved)}
}

func resolvedText(r *quarantine.Resolution) string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%s by %s: %s", stamp(&r.At), r.By, r.Reason)
}

func writeQuarantined(w io.Writer, r quarantine.Record) error {
	err := writeTable(w, nil, [][]string{
		{"name", r.Name()}, {"object key", r.ObjectKey}, {"since", stamp(&r.Since)}, {"resolved", resolvedText(r.Resolved)},
	})
	if err != nil {
		return err
	}
	for _, t := range tier.All() {
		if d, ok := r.Discarded[t]; ok {
			if _, err := fmt.Fprintf(w, "%s's dead letter was discarded %s\n", t, resolvedText(&d)); err != nil {
				return err
			}
		}
	}
	if len(r.Differences) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	var rows [][]string
	for _, d := range r.Differences {
		rows = append(rows, []string{stamp(&d.Since), d.Kind, d.Tier, d.ObjectKey, d.Evidence})
	}
	return writeTable(w, []string{"SINCE", "KIND", "TIER", "OBJECT KEY", "EVIDENCE"}, rows)
}
