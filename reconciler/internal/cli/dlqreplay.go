package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
)

// replayed is what replay prints.
type replayed struct {
	Matched  int              `json:"matched"`  // letters chosen, counted as `dlq list` counts them
	Replayed int              `json:"replayed"` // those whose events were all sent again and which are removed
	Letters  []letters.Letter `json:"letters"`  // the chosen ones
}

func (a *app) dlqReplay() *cobra.Command {
	var sel selection
	var flags changeFlags
	c := &cobra.Command{
		Use:   "replay",
		Short: "Send dead letters' events again, each to the tier that gave it up",
		Long: `Send the events of dead letters again, oldest first, each to the tier that gave it up, and remove the letters. A letter is
removed only after the stream has acknowledged its event and the audit log the replay; whatever breaks off in between can
simply be repeated, and two who replay the same letters at once do no harm. With --dry-run it shows what it would do and
changes nothing; without --yes it asks in a terminal, and refuses elsewhere.

` + groupHelp + `

A letter that holds no event (invalid_event), or one of a recording that was forgotten, cannot be replayed: it stays, is
reported, and makes the exit code 1.`,
		Example: `  reconciler dlq replay --dry-run
  reconciler dlq replay --tier primary --reason attempts_exhausted --yes
  reconciler dlq replay --id rec-8a7f --id emea/rec-9b1c --yes
  reconciler dlq replay --since 24h --limit 1000 --rate 10 --yes -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := sel.filter(cmd, args, time.Now())
			if err != nil {
				return err
			}
			if err := flags.check(a); err != nil {
				return err
			}
			return a.runReplay(cmd.Context(), f, flags)
		},
	}
	sel.flags(c, "reason")
	flags.add(c)
	return c
}

func (a *app) runReplay(ctx context.Context, f letters.Filter, flags changeFlags) error {
	conn, all, err := a.openLetters(ctx)
	if err != nil {
		return err
	}
	defer conn.close()
	groups := f.Choose(all)
	result := replayed{Matched: len(groups), Letters: letters.Shown(groups)}
	switch {
	case len(groups) == 0:
		a.say(noLetters)
	case flags.dryRun:
		_ = a.report(refusedOf(groups)) // told, but no failure of a dry run
		a.say("would replay %d of %d, nothing was changed", len(groups)-unreplayable(groups), len(groups))
	case !flags.yes && !a.confirm(fmt.Sprintf("Send the events of %d dead letters again?", len(groups))):
		return errors.New("not confirmed; nothing was changed")
	default:
		result.Replayed, err = a.replay(ctx, conn, all, groups, flags.rate)
		a.say("replayed %d of %d", result.Replayed, len(groups))
	}
	return errors.Join(a.printOne(result, func(w io.Writer) error { return writeLetterTable(w, result.Letters) }), err)
}

func (a *app) readLetters(ctx context.Context, conn *connection) ([]letters.Group, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return letters.Read(ctx, conn.js)
}

// replay sends the groups again, one after the other, and stops at the first failure. It returns how many are done.
func (a *app) replay(ctx context.Context, conn *connection, all, groups []letters.Group, perSecond float64) (int, error) {
	var refused []letters.Refusal
	stones, err := erasure.Open(ctx, conn.js)
	if err != nil {
		return 0, err
	}
	done, err := a.change(conn, all, groups, "replayed", perSecond, func(r *letters.Replayer, g letters.Group) (bool, error) {
		r.Erased = stones.Known
		no, err := r.Replay(ctx, g)
		refused = append(refused, no...)
		return len(no) == 0, err
	})
	return done, errors.Join(err, a.report(refused))
}

func (a *app) replayer(conn *connection, notes letters.Notes, perSecond float64) *letters.Replayer {
	return &letters.Replayer{
		JS: conn.js, Publisher: queue.NewPublisher(conn.nc, conn.js), Notes: notes, By: operator(), Now: time.Now,
		NotesAway: func(err error) { a.say("records in Redis are left as they are: %s", fault.Text(err)) },
		Rate:      rate.NewLimiter(rate.Limit(perSecond), 1),
	}
}

// report tells of each letter that cannot be replayed; the error counts them.
func (a *app) report(refused []letters.Refusal) error {
	for _, r := range refused {
		a.say("dead letter %d stays: %s", r.Sequence, fault.Text(r.Err))
	}
	if len(refused) == 0 {
		return nil
	}
	return fmt.Errorf("%d dead letters cannot be replayed", len(refused))
}

func refusedOf(groups []letters.Group) []letters.Refusal {
	var out []letters.Refusal
	for _, g := range groups {
		out = append(out, letters.Refused(g)...)
	}
	return out
}

func unreplayable(groups []letters.Group) int {
	n := 0
	for _, g := range groups {
		if len(letters.Refused(g)) > 0 {
			n++
		}
	}
	return n
}
