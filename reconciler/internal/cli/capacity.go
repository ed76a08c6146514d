package cli

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/reconciler/internal/capacity"
	"github.com/twinreel/twinreel/reconciler/internal/config"
)

func (a *app) capacity() *cobra.Command {
	load := capacity.Load{}
	var size string
	measured := true
	c := &cobra.Command{
		Use:   "capacity --per-day N",
		Short: "Say what so many recordings a day need, which limit is hit first, and what to change",
		Long: `Compute, without asking anybody, what so many recordings a day need: workers and ingresses, the sizes of the streams (as
provision --per-day makes them), what NATS and Redis keep, requests to the stores by class and by who makes them, bytes over
the line, how long runs and a turn of the scrub take. Then all limits, in the order in which they are hit when recordings
grow, each with who sets it and what to change.

It rests on what was measured, on one machine of two processors, and says of each figure where and when; and on the settings
of the environment that it runs in. --kept is how many recordings each store holds; by default those of
TWINREEL_RETENTION_DAYS, as it will be in the end. A full run's temporary files are in TMPDIR of whatever runs it, and it does
not begin where they have no room.`,
		Example: `  reconciler capacity --per-day 40000
  reconciler capacity --per-day 40000 --kept 1200000                   # after the first month
  reconciler capacity --per-day 1000000 --size 20MiB --peak 4 --latency 50ms
  reconciler capacity --per-day 40000 -o json | jq '.limits[] | select(.share > 1) | .change'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var s config.Capacity
			if err := a.load(&s); err != nil {
				return err
			}
			if err := load.Size.UnmarshalText([]byte(size)); err != nil {
				return usagef("--size %.40q: %w", size, err)
			}
			if !cmd.Flags().Changed("kept") && load.PerDay > 0 && load.PerDay <= capacity.MostPerDay {
				load.Kept = load.PerDay * int64(s.Retention.Days)
			}
			p, err := capacity.For(load, setup(s))
			if err != nil {
				return wrongLoad(cmd, err)
			}
			return a.printOne(p, func(w io.Writer) error { return writeCapacity(w, p, measured) })
		},
	}
	f := c.Flags()
	f.Int64Var(&load.PerDay, "per-day", 0, "recordings a day")
	f.Int64Var(&load.Kept, "kept", 0, "recordings that each store holds (default: those of TWINREEL_RETENTION_DAYS)")
	f.StringVar(&size, "size", settings.Bytes(capacity.UsualSize).String(), "size of a recording, on average")
	f.Float64Var(&load.Peak, "peak", capacity.UsualPeak, "recordings of the busiest hour, times those of the mean one")
	f.DurationVar(&load.Latency, "latency", capacity.UsualLatency, "until a store or a source answers a small request")
	f.BoolVar(&load.Tokens, "token-hosts", false, "media hosts take the platform's token, so that downloads count against its API")
	f.BoolVar(&measured, "figures", true, "show also what was measured, and where")
	return c
}

// wrongLoad names the flag whose value cannot be planned for.
func wrongLoad(cmd *cobra.Command, err error) error {
	for flag, why := range map[string]error{
		"per-day": capacity.ErrPerDay, "kept": capacity.ErrKept, "size": capacity.ErrSize, "peak": capacity.ErrPeak, "latency": capacity.ErrLatency,
	} {
		if errors.Is(err, why) {
			return usagef("--%s %s: %w", flag, cmd.Flag(flag).Value, err)
		}
	}
	return err
}

func setup(s config.Capacity) capacity.Setup {
	return capacity.Setup{
		MaxAge: s.Sizes.MaxAge, LedgerTTL: s.Room.LedgerTTL, Interval: s.Reconcile.Interval, Full: s.Reconcile.Full,
		ScrubPeriod: s.Scrub.Period, ScrubBudget: s.Scrub.Budget, Replicas: s.NATS.Replicas,
		Concurrency: s.Fleet.Concurrency, RequestLimit: s.Fleet.RequestLimit, LimitShare: s.Fleet.LimitShare, PlatformRate: s.Fleet.PlatformRate,
		Peer: s.NATS.Peer,
	}
}
