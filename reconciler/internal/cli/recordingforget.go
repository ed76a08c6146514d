package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
	"github.com/twinreel/twinreel/reconciler/internal/history"
)

// caseName is what a case is called: a number or a mark, and no sentence with a person's name in it.
var caseName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/#-]{0,63}$`)

func (a *app) recordingForget() *cobra.Command {
	var q erasure.Request
	var yes bool
	c := &cobra.Command{
		Use:   "forget ID --case CASE --reason REASON",
		Short: "Have a recording forgotten: it is never brought back",
		Long: `Have a recording forgotten, as an erasure asks for: from then on it is never repaired, fetched, imported or replayed, also if
JetStream or Redis should be lost. Its dead letters are removed, and what Redis holds of it. This cannot be taken back.

Twinreel deletes nothing in a store: its identities may not. What is still there, older versions included, is listed with its
keys; whoever may has to delete it. Order does not matter, and repeating the command shows what is left. Its events leave
RECORDINGS by age, since nobody can delete there. The audit log keeps for ever that, when, by whom and for which case it was
forgotten, so put no names into case and reason.

A recording that nobody knows is forgotten as well, should it come. NATS is needed. Without Redis's settings, or while it is
away, its keys lapse by themselves; without the stores' settings nothing is known of copies.`,
		Example: `  reconciler recording forget rec-8a7f --case GDPR-2026-118 --reason "erasure request"
  reconciler recording forget emea/rec-8a7f --case GDPR-2026-118 --reason "erasure request" --yes -o json | jq .copies`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Key, err = keyOf(args[0]); err != nil {
				return err
			}
			if !caseName.MatchString(q.Case) {
				return usagef("--case: want the case's number or mark, 1 to 64 of A-Z a-z 0-9 . _ / # - and no person's name")
			}
			q.Reason = strings.TrimSpace(q.Reason)
			if err := checkWhy("--reason", q.Reason); err != nil {
				return err
			}
			if err := a.mayAsk(yes); err != nil {
				return err
			}
			return a.runForget(cmd.Context(), q, yes)
		},
	}
	c.Flags().StringVar(&q.Case, "case", "", "whose request it follows, such as a ticket's number (required)")
	c.Flags().StringVar(&q.Reason, "reason", "", "why, for the audit log (required)")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

func (a *app) runForget(ctx context.Context, q erasure.Request, yes bool) error {
	var s config.Recording
	if err := a.load(&s); err != nil {
		return err
	}
	conn, err := a.connect(ctx, s.NATS)
	if err != nil {
		return err
	}
	defer conn.close()
	known, err := a.standsAs(ctx, conn, s, q.Key)
	if err != nil {
		return err
	}
	if !yes && !a.confirm(fmt.Sprintf("Forget recording %s (%s) for good? This cannot be taken back.", q.Key, known)) {
		return errors.New("not confirmed; nothing was changed")
	}
	stones, err := erasure.Open(ctx, conn.js)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	e := erasure.Eraser{
		JS: conn.js, Stones: stones, Audit: queue.NewPublisher(conn.nc, conn.js), Stores: a.stores(ctx), By: operator(), Now: time.Now,
	}
	l, closeLedger := a.ledger("Redis keeps what it has of it until that lapses")
	defer closeLedger()
	if l != nil {
		e.Ledger = l
	}
	r, err := e.Forget(ctx, q)
	if err != nil {
		return fmt.Errorf("forget recording %s (repeat the command; it goes on where it was): %w", q.Key, err)
	}
	a.tellForgotten(r)
	return a.printOne(r, func(w io.Writer) error { return writeForgotten(w, r) })
}

// standsAs says how the recording stands, for who is asked, and warns of one that nobody knows: it may be a typing error.
func (a *app) standsAs(ctx context.Context, conn *connection, s config.Recording, key string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	r, rerr := a.fromRedis(ctx, s, key)
	f := a.finder(ctx, conn, r, rerr)
	f.Aside, f.Log = func(string, error) {}, nil
	found, err := f.Find(ctx, key)
	switch {
	case err == nil:
		return string(found.Status), nil
	case errors.Is(err, history.ErrUnknown), errors.Is(err, history.ErrUnanswered):
		a.say("warning: nobody who answered knows recording %s; it will be forgotten all the same, should it come", key)
		return "unknown", nil
	}
	return "", err
}

// tellForgotten says what is left to others.
func (a *app) tellForgotten(r erasure.Report) {
	if r.Before {
		a.say("it was forgotten before: %s, by %s, case %s", stamp(&r.Tombstone.At), r.Tombstone.By, r.Tombstone.Case)
	}
	if r.Ledger != erasure.Cleared {
		a.say("Redis was not cleared, its keys lapse by themselves: %s", fault.Clean(r.Ledger))
	}
	for _, u := range r.Unseen {
		a.say("store %s was not looked into, copies may be there: %s", u.Tier, fault.Clean(u.Why))
	}
	if len(r.Copies) > 0 {
		a.say("still there, and to be deleted by who may (a lock or a retention may have to end first): %d versions", len(r.Copies))
	}
}

func writeForgotten(w io.Writer, r erasure.Report) error {
	err := writeTable(w, nil, [][]string{
		{"recording", r.IdempotencyKey},
		{"forgotten", fmt.Sprintf("%s by %s, case %s: %s", stamp(&r.Tombstone.At), r.Tombstone.By, r.Tombstone.Case, r.Tombstone.Reason)},
		{"dead letters removed", number(r.Letters)},
		{"Redis", r.Ledger},
		{"events in RECORDINGS", "gone by " + stamp(&r.EventsUntil)},
		{"copies still there", number(len(r.Copies))},
	})
	if err != nil || len(r.Copies) == 0 {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	var rows [][]string
	for _, c := range r.Copies {
		rows = append(rows, []string{c.Tier.String(), c.Bucket, c.Key, c.VersionID, number(c.Size), stamp(&c.Modified)})
	}
	return writeTable(w, []string{"TIER", "BUCKET", "KEY", "VERSION", "BYTES", "MODIFIED"}, rows)
}
