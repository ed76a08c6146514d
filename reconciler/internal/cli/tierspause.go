package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/config"
)

// changeTimeout bounds a command that changes one thing.
const changeTimeout = 30 * time.Second

// paused is what pause and resume print.
type paused struct {
	Tier   tier.Tier `json:"tier"`
	Paused bool      `json:"paused"`
	Reason string    `json:"reason"` // of the pause that is, or was
	Since  time.Time `json:"since"`
	By     string    `json:"by"`
}

func (a *app) tiersPause() *cobra.Command {
	var why string
	var yes bool
	c := &cobra.Command{
		Use:   "pause primary|backup --reason REASON",
		Short: "Pause a tier: it takes nothing until it is resumed",
		Long: `Pause a tier: its workers finish what they hold and pull nothing more, and ingress routes new recordings to the other tier
alone, from which the paused one takes them once it is resumed. Nothing is lost meanwhile; what waits is in the stream. A
pause never lapses. With both tiers paused webhooks are still taken, and wait. The pause is audited with who asked for it.`,
		Example: `  reconciler tiers pause primary --reason "bucket moves to eu-west-1"
  reconciler tiers pause backup --reason "account is being renewed" --yes`,
		Args: oneTier,
		RunE: func(cmd *cobra.Command, args []string) error {
			why = strings.TrimSpace(why)
			if err := checkWhy("--reason", why); err != nil {
				return err
			}
			return a.changeTier(cmd.Context(), yes, func(ctx context.Context, conn *connection) (paused, error) {
				return a.pause(ctx, conn, tier.Tier(args[0]), why, yes)
			})
		},
		ValidArgs: []string{tier.Primary.String(), tier.Backup.String()},
	}
	c.Flags().StringVar(&why, "reason", "", "why, for the audit log and for who looks at the tiers (required)")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

func (a *app) tiersResume() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "resume primary|backup",
		Short: "End a tier's pause",
		Long: `End a tier's pause: its workers pull again, first what came meanwhile live, then what was routed to the other tier alone.
A tier that is not paused stays as it is. Audited with who asked for it.`,
		Example: `  reconciler tiers resume primary
  reconciler tiers resume backup --yes`,
		Args: oneTier,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeTier(cmd.Context(), yes, func(ctx context.Context, conn *connection) (paused, error) {
				return a.resume(ctx, conn, tier.Tier(args[0]), yes)
			})
		},
		ValidArgs: []string{tier.Primary.String(), tier.Backup.String()},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

// oneTier wants one argument, a tier's name.
func oneTier(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("want one tier: %s or %s", tier.Primary, tier.Backup)
	}
	if _, err := tier.Parse(args[0]); err != nil {
		return usageError{err}
	}
	return nil
}

// checkWhy wants a reason that can stand in one line of a log.
func checkWhy(flag, text string) error {
	const most = 500
	switch {
	case text == "":
		return usagef("%s: say why; it goes into the audit log", flag)
	case len(text) > most || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return usagef("%s: want one line of at most %d bytes", flag, most)
	}
	return nil
}

// changeTier runs a change of one tier, and prints what it came to.
func (a *app) changeTier(ctx context.Context, yes bool, change func(context.Context, *connection) (paused, error)) error {
	if err := a.mayAsk(yes); err != nil {
		return err
	}
	var s config.Queue
	if err := a.load(&s); err != nil {
		return err
	}
	conn, err := a.connect(ctx, s.NATS)
	if err != nil {
		return err
	}
	defer conn.close()
	p, err := change(ctx, conn)
	if err != nil {
		return err
	}
	return a.printOne(p, func(w io.Writer) error {
		state := "not paused"
		if p.Paused {
			state = fmt.Sprintf("paused since %s by %s: %s", stamp(&p.Since), p.By, p.Reason)
		}
		return writeTable(w, nil, [][]string{{p.Tier.String(), state}})
	})
}

// mayAsk refuses what changes things where nobody said yes and nobody can be asked.
func (a *app) mayAsk(yes bool) error {
	if yes || a.interactive() {
		return nil
	}
	return usagef("this changes things, and there is no terminal to ask: add --yes")
}

// pause writes the audit event first: what is done is never missing in the log.
func (a *app) pause(ctx context.Context, conn *connection, t tier.Tier, why string, yes bool) (paused, error) {
	board, now, err := a.standing(ctx, conn, t)
	if err != nil {
		return paused{}, err
	}
	question := fmt.Sprintf("Pause tier %s (weight %.2g, %d workers)?", t, now.Weight(), len(now.Views))
	if p := now.Pause; p != nil {
		question = fmt.Sprintf("Tier %s is paused already, by %s: %s. Write this reason instead?", t, p.By, p.Reason)
	}
	if !yes && !a.confirm(question) {
		return paused{}, errors.New("not confirmed; nothing was changed")
	}
	p := tier.Pause{Reason: why, Since: time.Now().UTC().Truncate(time.Second), By: operator()}
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	if err := a.auditTier(ctx, conn, event.AuditTierPaused, t, why); err != nil {
		return paused{}, err
	}
	if err := board.Pause(ctx, t, p); err != nil {
		return paused{}, fmt.Errorf("the tier may not be paused (repeat the command): %w", err)
	}
	return paused{t, true, p.Reason, p.Since, p.By}, nil
}

func (a *app) resume(ctx context.Context, conn *connection, t tier.Tier, yes bool) (paused, error) {
	board, now, err := a.standing(ctx, conn, t)
	if err != nil {
		return paused{}, err
	}
	p := now.Pause
	if p == nil {
		a.say("tier %s is not paused; nothing was changed", t)
		return paused{Tier: t}, nil
	}
	if !yes && !a.confirm(fmt.Sprintf("Resume tier %s, paused since %s by %s: %s?", t, stamp(&p.Since), p.By, p.Reason)) {
		return paused{}, errors.New("not confirmed; nothing was changed")
	}
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	if err := a.auditTier(ctx, conn, event.AuditTierResumed, t, p.Reason); err != nil {
		return paused{}, err
	}
	if err := board.Resume(ctx, t); err != nil {
		return paused{}, fmt.Errorf("the tier may still be paused (repeat the command): %w", err)
	}
	return paused{t, false, p.Reason, p.Since, p.By}, nil
}

// standing returns the board and what stands there of the tier.
func (a *app) standing(ctx context.Context, conn *connection, t tier.Tier) (*queue.Board, tier.Standing, error) {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	board := queue.NewBoard(conn.nc, conn.js)
	all, err := board.Read(ctx)
	now := all[t]
	if p := now.Pause; p != nil { // another program may have written it
		now.Pause = &tier.Pause{Reason: fault.Clean(p.Reason), Since: p.Since.UTC(), By: fault.Clean(p.By)}
	}
	return board, now, err
}

func (a *app) auditTier(ctx context.Context, conn *connection, kind event.AuditKind, t tier.Tier, why string) error {
	err := queue.NewPublisher(conn.nc, conn.js).Audit(ctx, event.Audit{
		Kind: kind, Tier: t.String(), Time: time.Now(), Data: event.AuditData{Tier: t.String(), Reason: why, By: operator()},
	})
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	return nil
}
