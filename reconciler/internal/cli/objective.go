package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/objective"
)

// objectiveTimeout bounds the reading of two streams.
const objectiveTimeout = 30 * time.Minute

func (a *app) objective() *cobra.Command {
	var since time.Duration
	var listed int
	c := &cobra.Command{
		Use:   "objective",
		Short: "Show which share of recordings had two verified copies within 15 minutes",
		Long: `Show, by UTC hour and day of the acknowledgement (the webhook's 200), which share of recordings had two verified copies within 15
minutes, the recordings that had not, and how soon the streams are full at the present rate. The goal is 99.99 %.

It is computed from what RECORDINGS and AUDIT hold, and so reaches no further back than AUDIT does (TWINREEL_LEDGER_TTL). A
recording acknowledged less than 15 minutes ago is not judged yet. A copy whose store has no checksum for it is not
verified. reconciler run tells the same at /api/v1/objective and as metrics.`,
		Example: `  reconciler objective
  reconciler objective --since 168h
  reconciler objective -o json | jq -r '.missed[].idempotencyKey'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if since <= 0 || listed < 0 {
				return usagef("objective: want --since and --limit above 0")
			}
			r, err := a.measure(cmd.Context(), since)
			if err != nil {
				return err
			}
			return a.printOne(r, func(w io.Writer) error { return writeObjective(w, r, listed) })
		},
	}
	c.Flags().DurationVar(&since, "since", 24*time.Hour, "how far back, at most 744h")
	c.Flags().IntVar(&listed, "limit", 50, "how many of the recordings that missed it a table lists; json has all")
	return c
}

func (a *app) measure(ctx context.Context, since time.Duration) (objective.Report, error) {
	var s config.Queue
	if err := a.load(&s); err != nil {
		return objective.Report{}, err
	}
	conn, err := a.connect(ctx, s.NATS)
	if err != nil {
		return objective.Report{}, err
	}
	defer conn.close()
	ctx, cancel := context.WithTimeout(ctx, objectiveTimeout)
	defer cancel()
	return objective.New(conn.js, zap.NewNop(), since).Once(ctx)
}

func writeObjective(w io.Writer, r objective.Report, listed int) error {
	recordings, missed := 0, 0
	for _, d := range r.Days {
		recordings, missed = recordings+d.Recordings, missed+d.Missed
	}
	total := objective.Span{Recordings: recordings, Missed: missed, Share: 1}
	if recordings > 0 {
		total.Share = float64(recordings-missed) / float64(recordings)
	}
	_, err := fmt.Fprintf(w, "since %s: %d recordings judged, %d missed it, %s (goal %s); %d are not judged yet\n\n",
		r.Since.Format(time.RFC3339), recordings, missed, cmp.Or(percent(total), "no share yet"), percent(objective.Span{Recordings: 1, Share: r.Goal}), r.Waiting)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, d := range r.Days {
		rows = append(rows, []string{d.From.Format(time.DateOnly), number(d.Recordings), number(d.Missed), percent(d)})
	}
	for _, h := range r.Hours {
		rows = append(rows, []string{h.From.Format("2006-01-02T15:04Z"), number(h.Recordings), number(h.Missed), percent(h)})
	}
	if err := writeSection(w, []string{"DAY OR HOUR FROM", "RECORDINGS", "MISSED", "SHARE"}, rows); err != nil {
		return err
	}
	rows = nil
	for n, m := range r.Missed {
		if n == listed {
			rows = append(rows, []string{fmt.Sprintf("and %d more", len(r.Missed)-n+r.MissedUnlisted), "", ""})
			break
		}
		rows = append(rows, []string{m.IdempotencyKey, stamp(&m.AcknowledgedAt), m.Reason})
	}
	if err := writeSection(w, []string{"MISSED", "ACKNOWLEDGED", "BECAUSE"}, rows); err != nil {
		return err
	}
	rows = nil
	for _, s := range r.Streams {
		days := "never"
		if s.DaysToFull != nil {
			days = fmt.Sprintf("%.1f days", *s.DaysToFull)
		}
		rows = append(rows, []string{s.Stream, number(s.Bytes), number(s.MaxBytes), fmt.Sprintf("%.0f", s.BytesPerDay), days})
	}
	return writeTable(w, []string{"STREAM", "BYTES", "OF", "A DAY", "FULL IN"}, rows)
}

// writeSection writes a table, with a blank line behind it; none where there are no rows.
func writeSection(w io.Writer, header []string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	if err := writeTable(w, header, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// percent writes a share with as many digits as the goal needs, "" where there is nothing to share.
func percent(s objective.Span) string {
	if s.Recordings == 0 {
		return ""
	}
	return fmt.Sprintf("%.3f %%", 100*s.Share)
}
