package cli

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
)

// Help that the commands on dead letters share.
const groupHelp = `Several letters of one tier and recording count as one, of which the newest is shown and filtered by; those that
contradict what is stored (digest_conflict) each count for themselves.`

func (a *app) dlq() *cobra.Command {
	return parent("dlq", "Dead letters: events that a tier gave up", a.dlqList(), a.dlqShow(), a.dlqReplay(), a.dlqDiscard())
}

// reasons are the reasons that a letter can have.
func reasons() []string {
	var out []string
	for _, r := range queue.Reasons() {
		out = append(out, string(r))
	}
	return out
}

// selection is the flags that choose letters.
type selection struct {
	tier, reason, source, since string
	ids                         []string
	limit                       int
	byReason                    string
}

// flags adds them. byReason is the name of the flag that chooses by the reason for which letters were given up.
func (s *selection) flags(c *cobra.Command, byReason string) {
	s.byReason = byReason
	f := c.Flags()
	f.StringVar(&s.tier, "tier", "", "only this tier's: primary or backup (default both)")
	f.StringVar(&s.reason, byReason, "", "only those given up for this reason: "+strings.Join(reasons(), ", "))
	f.StringVar(&s.source, "source", "", "only this source's recordings")
	f.StringVar(&s.since, "since", "", "only those given up since then: a duration such as 24h, or a time (RFC 3339)")
	f.StringSliceVar(&s.ids, "id", nil, "only these recordings: ID or source/ID; repeat it, or give several")
	f.IntVar(&s.limit, "limit", 0, "at most so many, the oldest (default all)")
	fixed := func(flag string, values []string) {
		_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	fixed("tier", []string{tier.Primary.String(), tier.Backup.String()})
	fixed(byReason, reasons())
	c.Args = func(cmd *cobra.Command, args []string) error { // --id A B C
		if len(args) > 0 && !cmd.Flags().Changed("id") {
			return usagef("unexpected argument %.80q (recordings are named by --id)", args[0])
		}
		return nil
	}
}

// filter checks the flags; args are further IDs.
func (s *selection) filter(cmd *cobra.Command, args []string, now time.Time) (letters.Filter, error) {
	f := letters.Filter{Reason: queue.Reason(s.reason), Source: s.source, Limit: s.limit}
	if s.tier != "" {
		t, err := tier.Parse(s.tier)
		if err != nil {
			return f, usagef("--tier: %w", err)
		}
		f.Tier = t
	}
	if s.reason != "" && !slices.Contains(reasons(), s.reason) {
		return f, usagef("--%s %.40q: want one of %s", s.byReason, s.reason, strings.Join(reasons(), ", "))
	}
	if s.source != "" {
		if err := event.CheckSource(s.source); err != nil {
			return f, usagef("--source: %w", err)
		}
	}
	if s.limit < 0 || cmd.Flags().Changed("limit") && s.limit == 0 {
		return f, usagef("--limit: want 1 or more")
	}
	for _, id := range append(slices.Clone(s.ids), args...) {
		key, err := keyOf(id)
		if err != nil {
			return f, err
		}
		f.IDs = append(f.IDs, key)
	}
	if cmd.Flags().Changed("id") && len(f.IDs) == 0 {
		return f, usagef("--id: want a recording ID")
	}
	var err error
	f.Since, err = since(s.since, now)
	return f, err
}

// since reads a duration before now, or a time.
func since(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, usagef("--since %.40q: want a duration such as 24h, or a time such as 2026-11-23T10:00:00Z", s)
	}
	return t, nil
}

// letterHeader and letterRow are how lists of letters look to people.
func letterHeader() []string {
	return []string{"TIER", "SEQUENCE", "RECORDING", "REASON", "ATTEMPTS", "DEAD AT", "ERROR"}
}

func letterRow(l letters.Letter) []string {
	const errorRunes = 80
	return []string{
		l.Tier.String(), number(l.Sequence), l.IdempotencyKey, string(l.Reason), number(l.Attempts), stamp(&l.DeadAt), shorten(l.Error, errorRunes),
	}
}
