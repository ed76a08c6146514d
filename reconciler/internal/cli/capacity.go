package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/capacity"
	"github.com/twinreel/twinreel/reconciler/internal/config"
)

// capacityPlan is what so many recordings need.
type capacityPlan struct {
	PerDay   int64             `json:"perDay"`
	Kept     int64             `json:"kept"` // recordings in each store
	Streams  map[string]int64  `json:"streams"`
	Disk     int64             `json:"disk"` // bytes of temporary files of a full run, at most
	FullRun  capacity.Requests `json:"fullRun"`
	Hourly   capacity.Requests `json:"hourlyRun"`
	DayTotal capacity.Requests `json:"day"` // one full run and 23 hourly ones
}

func (a *app) capacity() *cobra.Command {
	var perDay, kept int64
	c := &cobra.Command{
		Use:   "capacity --per-day N",
		Short: "Say what so many recordings a day need: streams, requests, disk",
		Long: `Compute, without asking anybody, what so many recordings a day need: the sizes of the streams (as provision --per-day makes
them), and the requests to S3, Azure Blob and NATS that the reconciler's runs make, which somebody pays for. --kept is how
many recordings each store holds; by default those of TWINREEL_RETENTION_DAYS. A full run's temporary files are in TMPDIR of
whatever runs it, and it does not begin where they have no room.`,
		Example: `  reconciler capacity --per-day 40000
  reconciler capacity --per-day 40000 --kept 100000000 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var s struct {
				config.Provision
				Retention config.Retention
			}
			if err := a.load(&s); err != nil {
				return err
			}
			sizes, err := capacity.ForDay(perDay, s.Sizes.MaxAge, s.Room.LedgerTTL)
			if err != nil {
				return usagef("--per-day %d: %w", perDay, err)
			}
			if !cmd.Flags().Changed("kept") {
				kept = perDay * int64(s.Retention.Days)
			}
			if kept < 0 {
				return usagef("--kept %d: want 0 or more", kept)
			}
			return a.printOne(planCapacity(perDay, kept, sizes), func(w io.Writer) error { return writeCapacity(w, planCapacity(perDay, kept, sizes)) })
		},
	}
	c.Flags().Int64Var(&perDay, "per-day", 0, "recordings a day")
	c.Flags().Int64Var(&kept, "kept", 0, "recordings that each store holds")
	return c
}

func planCapacity(perDay, kept int64, s queue.Sizes) capacityPlan {
	full, hourly := capacity.FullRun(kept), capacity.HourlyRun(perDay)
	return capacityPlan{
		PerDay: perDay, Kept: kept, Disk: int64(capacity.Disk(kept)), FullRun: full, Hourly: hourly, DayTotal: full.Plus(hourly.Times(23)),
		Streams: map[string]int64{queue.Recordings: int64(s.Recordings), queue.DeadLetters: int64(s.Letters), queue.Audit: int64(s.Audit)},
	}
}

func writeCapacity(w io.Writer, p capacityPlan) error {
	rows := [][]string{{"recordings a day", number(p.PerDay)}, {"recordings in each store", number(p.Kept)}}
	for _, name := range []string{queue.Recordings, queue.DeadLetters, queue.Audit} {
		rows = append(rows, []string{"stream " + name, gib(p.Streams[name])})
	}
	rows = append(rows, []string{"temporary files of a full run", gib(p.Disk)})
	if err := writeTable(w, nil, rows); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	line := func(name string, r capacity.Requests) []string {
		return []string{name, number(r.S3Lists), number(r.S3Reads), number(r.AzureLists), number(r.AzureReads), number(r.NATS)}
	}
	return writeTable(w, []string{"REQUESTS", "S3 LIST", "S3 GET", "AZURE LIST", "AZURE GET", "NATS"}, [][]string{
		line("a full run", p.FullRun), line("an hourly run", p.Hourly), line("a day", p.DayTotal),
	})
}

func gib(n int64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }
