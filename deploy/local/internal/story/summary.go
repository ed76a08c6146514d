package story

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/outside"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// Summary is what came of a story.
type Summary struct {
	Config Config
	// Start is when the first webhook was sent; Moved is from then until nothing was left to do.
	Start time.Time
	Moved time.Duration
	// Bytes of all recordings that have to be in both stores.
	Bytes int64
	// Outage is what happened while S3 was away; Back is when it was there again, CaughtUp how long primary took then.
	Outage   Outage
	Back     time.Time
	CaughtUp time.Duration
	// Stores is the independent reader's report, and ReadBack how long it took.
	Stores   outside.Report
	ReadBack time.Duration
	Letters  []fleet.Letter
	// Dead is the idempotency key of the recording whose link is dead.
	Dead string
	// Records are recordings whose record does not say `completed`.
	Records []string
	// PeakRSS is the most memory of each program, in bytes.
	PeakRSS map[string]int64
	// Seconds from a webhook's answer to the second verified copy, sorted once asked for.
	Seconds []float64

	mu     sync.Mutex
	Report platform.Report
}

// Outage is what each tier got while the S3 server was away.
type Outage struct {
	Lasted          time.Duration
	Primary, Backup int
	BackupBytes     int64
}

// add adds the report of one burst.
func (s *Summary) add(r platform.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.Report
	t.Sent += r.Sent
	t.Accepted += r.Accepted
	t.Duplicate += r.Duplicate
	t.Ignored += r.Ignored
	t.Refused += r.Refused
	t.Failed += r.Failed
	t.ForgedTaken += r.ForgedTaken
	t.ForgedRefused += r.ForgedRefused
	t.Retried += r.Retried
}

// second notes how long a recording's second copy took.
func (s *Summary) second(w *Watch, r *platform.Recording) {
	var last time.Time
	for _, tier := range Tiers() {
		c, ok := w.Copy(tier, r.Key())
		if !ok {
			return
		}
		if c.At.After(last) {
			last = c.At
		}
	}
	s.Seconds = append(s.Seconds, max(0, last.Sub(r.AcknowledgedAt()).Seconds()))
}

// Problems are what the story should have proved and did not, one a line; none is good.
func (s *Summary) Problems() []string {
	var all []string
	for _, f := range s.Stores.Findings {
		all = append(all, f.String())
	}
	all = append(all, s.Records...)
	all = append(all, s.letterProblems()...)
	want := func(ok bool, format string, args ...any) {
		if !ok {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	n, r := s.Config.Recordings, s.Report
	for _, tier := range Tiers() {
		have := s.Stores.Copies[tier].Recordings
		want(have == n, "%s has %d sound copies, want %d", tier, have, n)
	}
	want(r.Accepted == n+1, "%d webhooks were accepted as new, want %d", r.Accepted, n+1)
	want(r.Failed == 0, "%d webhooks got no good answer", r.Failed)
	want(r.ForgedTaken == 0 && r.ForgedRefused == s.Config.Forged, "%d forged webhooks were taken and %d refused, want 0 and %d",
		r.ForgedTaken, r.ForgedRefused, s.Config.Forged)
	want(r.Refused == r.ForgedRefused, "%d webhooks that were not forged were refused", r.Refused-r.ForgedRefused)
	want(r.Duplicate > 0, "no duplicate was absorbed")
	want(s.Outage.Backup > 0, "backup stored nothing while S3 was away")
	want(s.Outage.Primary == 0, "primary is said to have stored %d recordings while S3 was away", s.Outage.Primary)
	return all
}

// letterProblems holds the dead letters against what they have to be: one in each tier, for the dead link.
func (s *Summary) letterProblems() []string {
	var all []string
	missing := Tiers()
	for _, l := range s.Letters {
		at := slices.Index(missing, l.Tier)
		if l.IdempotencyKey != s.Dead || l.Reason != "source_gone" || at < 0 {
			all = append(all, fmt.Sprintf("unexpected dead letter: %s in %s: %s: %s", l.IdempotencyKey, l.Tier, l.Reason, l.Error))
			continue
		}
		missing = slices.Delete(missing, at, at+1)
	}
	for _, tier := range missing {
		all = append(all, fmt.Sprintf("no dead letter in %s for the recording that was withdrawn", tier))
	}
	return all
}

// Write prints the table, and the line that says what was proved or what was not. It returns whether all was proved.
func (s *Summary) Write(out io.Writer) bool {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(out)
	row("recordings", "%d, %s", s.Config.Recordings, Size(s.Bytes))
	for _, tier := range Tiers() {
		c := s.Stores.Copies[tier]
		row("copies in "+tier, "%d, %s", c.Recordings, Size(c.Bytes))
	}
	row("duplicates absorbed", "%d", s.Report.Duplicate)
	row("forged webhooks refused", "%d of %d", s.Report.ForgedRefused, s.Config.Forged)
	row("other events ignored", "%d", s.Report.Ignored)
	row("dead letters", "%s", s.letters())
	row("while S3 was down", "%.1f s: backup stored %d (%s), primary %d", s.Outage.Lasted.Seconds(), s.Outage.Backup,
		Size(s.Outage.BackupBytes), s.Outage.Primary)
	row("primary caught up", "%.1f s after S3 came back", s.CaughtUp.Seconds())
	row("time to second copy", "p50 %.1f s, p99 %.1f s", s.quantile(0.50), s.quantile(0.99))
	row("peak memory", "ingress %.0f MiB, worker-primary %.0f MiB, worker-backup %.0f MiB, reconciler %.0f MiB", mib(s.PeakRSS[fleet.Ingress]),
		mib(s.PeakRSS[fleet.WorkerPrimary]), mib(s.PeakRSS[fleet.WorkerBackup]), mib(s.PeakRSS[fleet.Reconciler]))
	row("time", "%.1f s to move, %.1f s to read back", s.Moved.Seconds(), s.ReadBack.Seconds())
	// Writing to a table that is in memory until here can only fail as any print can.
	_ = t.Flush()
	problems := s.Problems()
	if len(problems) > 0 {
		fmt.Fprintf(out, "\nNOT PROVED: %d problems\n  %s\n", len(problems), strings.Join(problems, "\n  "))
		return false
	}
	fmt.Fprintf(out, "\nPROVED: all %d recordings are in both clouds, one version each; every byte, checksum, tag and field of metadata, "+
		"read back by an independent reader, is what the platform made; nothing else is there.\n", s.Config.Recordings)
	return true
}

// letters lists the dead letters by reason.
func (s *Summary) letters() string {
	by := make(map[string][]string)
	for _, l := range s.Letters {
		by[l.Reason+" ("+l.IdempotencyKey+")"] = append(by[l.Reason+" ("+l.IdempotencyKey+")"], l.Tier)
	}
	var all []string
	for what, tiers := range by {
		slices.Sort(tiers)
		all = append(all, fmt.Sprintf("%s in %s", what, strings.Join(tiers, " and ")))
	}
	slices.Sort(all)
	return fmt.Sprintf("%d: %s", len(s.Letters), strings.Join(all, "; "))
}

// quantile is the smallest time to a second copy that at least the share q of them does not exceed.
func (s *Summary) quantile(q float64) float64 {
	if len(s.Seconds) == 0 {
		return 0
	}
	slices.Sort(s.Seconds)
	return s.Seconds[max(0, int(math.Ceil(q*float64(len(s.Seconds))))-1)]
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }
