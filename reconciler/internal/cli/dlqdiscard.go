package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/reconciler/internal/letters"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
)

// discarded is what discard prints.
type discarded struct {
	Matched   int              `json:"matched"`   // letters chosen, counted as `dlq list` counts them
	Discarded int              `json:"discarded"` // those that are removed
	Letters   []letters.Letter `json:"letters"`   // the chosen ones
}

func (a *app) dlqDiscard() *cobra.Command {
	var sel selection
	var flags changeFlags
	c := &cobra.Command{
		Use:   "discard --reason REASON",
		Short: "Remove dead letters for good, and say in the audit log why",
		Long: `Remove dead letters, oldest first, without sending their events again. What a tier gave up is then owed no more: a recording
that has no other copy is lost, and no later run of the reconciler fetches it, unless the platform sends its webhook once
more. Each letter is removed only after the audit log has acknowledged who discarded it, and why;
whatever breaks off in between can simply be repeated. With --dry-run it shows what it would do and changes nothing; without
--yes it asks in a terminal, and refuses elsewhere.

--reason says why. One of the reasons for which letters are given up (see --only) also chooses: only letters given up for it
are discarded, just as the same --reason chooses for list and replay.

` + groupHelp,
		Example: `  reconciler dlq discard --reason "test calls" --id rec-8a7f --dry-run
  reconciler dlq discard --reason source_gone --source emea --since 24h --yes
  reconciler dlq discard --reason "no recordings, says the vendor" --only invalid_event --yes -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			why := strings.TrimSpace(flags.why)
			if err := checkWhy("--reason", why); err != nil {
				return err
			}
			switch {
			case sel.reason != "":
			case slices.Contains(reasons(), why):
				sel.reason = why
			case misspelt(why):
				return usagef("--reason %q: that would discard letters of every reason. Choose with one of %s, or say why in other words",
					why, strings.Join(reasons(), ", "))
			}
			f, err := sel.filter(cmd, args, time.Now())
			if err != nil {
				return err
			}
			if err := flags.check(a); err != nil {
				return err
			}
			return a.runDiscard(cmd.Context(), f, flags, why)
		},
	}
	sel.flags(c, "only")
	flags.add(c)
	c.Flags().StringVar(&flags.why, "reason", "", "why they are discarded, for the audit log (required)")
	return c
}

// misspelt reports whether a text looks as if one of the reasons was meant that choose letters.
func misspelt(why string) bool {
	bare := func(s string) string {
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune("_- ", r) {
				return -1
			}
			return unicode.ToLower(r)
		}, s)
	}
	like := func(reason string) bool { return bare(reason) == bare(why) }
	return slices.ContainsFunc(reasons(), like) || snakeCase.MatchString(why)
}

// snakeCase is what reasons look like, and few sentences.
var snakeCase = regexp.MustCompile(`^[A-Za-z]+(_[A-Za-z]+)+$`)

func (a *app) runDiscard(ctx context.Context, f letters.Filter, flags changeFlags, why string) error {
	conn, all, err := a.openLetters(ctx)
	if err != nil {
		return err
	}
	defer conn.close()
	groups := f.Choose(all)
	result := discarded{Matched: len(groups), Letters: letters.Shown(groups)}
	switch {
	case len(groups) == 0:
		a.say(noLetters)
	case flags.dryRun:
		a.say("would discard %d, nothing was changed", len(groups))
	case !flags.yes && !a.confirm(fmt.Sprintf("Discard %d dead letters for good?", len(groups))):
		return errors.New("not confirmed; nothing was changed")
	default:
		result.Discarded, err = a.change(conn, all, groups, "discarded", flags.rate, func(r *letters.Replayer, g letters.Group) (bool, error) {
			return true, r.Discard(ctx, g, why)
		})
		a.say("discarded %d of %d", result.Discarded, len(groups))
	}
	return errors.Join(a.printOne(result, func(w io.Writer) error { return writeLetterTable(w, result.Letters) }), err)
}

// change does one thing to each group, one after the other, and stops at the first failure. It returns how many are done.
func (a *app) change(conn *connection, all, groups []letters.Group, what string, perSecond float64, do func(*letters.Replayer, letters.Group) (bool, error)) (int, error) {
	notes, closeNotes := a.notes()
	defer closeNotes()
	r := a.replayer(conn, notes, perSecond)
	r.GivenUp = func(ctx context.Context, l letters.Letter, why string) error {
		book, err := quarantine.Open(ctx, conn.js)
		if err != nil {
			return err
		}
		return book.Discard(ctx, quarantine.About{IdempotencyKey: l.IdempotencyKey, ObjectKey: l.ObjectKey}, l.Tier, operator(), why)
	}
	r.Know(all)
	p := a.progress(what, len(groups))
	defer p.end()
	done := 0
	for _, g := range groups {
		well, err := do(r, g)
		if err != nil {
			return done, err
		}
		if well {
			done++
		}
		p.step()
	}
	return done, nil
}

// changeFlags are what commands that change letters have beyond the selection.
type changeFlags struct {
	why         string
	rate        float64
	dryRun, yes bool
}

func (f *changeFlags) add(c *cobra.Command) {
	c.Flags().Float64Var(&f.rate, "rate", 50, "at most so many letters a second")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "show what it would do, change nothing")
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
}

func (f *changeFlags) check(a *app) error {
	switch {
	case !(f.rate > 0):
		return usagef("--rate: want more than 0 a second")
	case !f.yes && !f.dryRun && !a.interactive():
		return usagef("this changes things, and there is no terminal to ask: add --yes, or --dry-run to see what it would do")
	}
	return nil
}

// openLetters connects, and reads the letters that there are.
func (a *app) openLetters(ctx context.Context) (*connection, []letters.Group, error) {
	conn, err := a.connectQueue(ctx)
	if err != nil {
		return nil, nil, err
	}
	all, err := a.readLetters(ctx, conn)
	if err != nil {
		conn.close()
		return nil, nil, err
	}
	return conn, all, nil
}

func writeLetterTable(w io.Writer, list []letters.Letter) error {
	if len(list) == 0 {
		return nil
	}
	rows := make([][]string, 0, len(list))
	for _, l := range list {
		rows = append(rows, letterRow(l))
	}
	return writeTable(w, letterHeader(), rows)
}
