package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/story"
)

// metricsPatience bounds the wait for what a program tells last: the reconciler's first run, and the first look at each store.
const metricsPatience = 4 * time.Minute

// metrics is the command that writes down what the running programs tell of themselves, so that alert rules and dashboards
// can be held against it.
func metrics() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "metrics --out DIR",
		Short: "Run the programs, let a few recordings through, and write each program's /metrics into DIR/<program>.prom",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("make the folder for the metrics: %w", err)
			}
			// Another region that nobody hears: what is told of one is told then, too.
			env := story.Env()
			env["TWINREEL_PEER_DOMAIN"] = "elsewhere"
			stage, err := openTold(cmd.Context(), "", env, story.DemoPlatform())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, stage.Close()) }()
			ctx, cancel := context.WithTimeout(cmd.Context(), metricsPatience)
			defer cancel()
			return tellMetrics(ctx, stage, dir)
		},
	}
	cmd.AddCommand(metricsPicture())
	cmd.Flags().StringVar(&dir, "out", "", "folder for the files")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err) // the flag is two lines above
	}
	return cmd
}

// tellMetrics has every program meet what its numbers are about, and writes them down.
func tellMetrics(ctx context.Context, s *story.Stage, dir string) error {
	if err := someRecordings(ctx, s); err != nil {
		return err
	}
	// The reconciler tells some things only after its first run, and its first look at letters, streams and stores.
	for _, name := range []string{"twinreel_reconcile_last_success_timestamp_seconds", "twinreel_dead_letters_open"} {
		if err := until(ctx, s.Reconciler, name, func(m fleet.Metrics) bool { return m.Sum(name) > 0 }); err != nil {
			return err
		}
	}
	for _, name := range []string{
		"twinreel_stream_bytes", "twinreel_stream_days_to_full", "twinreel_audit_store_size", "twinreel_audit_store_broken",
		"twinreel_scrub_projected_seconds", "twinreel_peer_lag_seconds",
	} {
		if err := until(ctx, s.Reconciler, name, func(m fleet.Metrics) bool { return m.Has(name) }); err != nil {
			return err
		}
	}
	if err := oneRefused(ctx, s); err != nil {
		return err
	}
	for name, p := range map[string]*fleet.Program{
		fleet.Ingress: s.Ingress, fleet.WorkerPrimary: s.Primary, fleet.WorkerBackup: s.Backup, fleet.Reconciler: s.Reconciler,
	} {
		text, err := p.MetricsText(ctx)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name+".prom"), text, 0o644); err != nil {
			return fmt.Errorf("write down the metrics of %s: %w", name, err)
		}
	}
	return nil
}

// someRecordings lets a few through, with duplicates, noise and forgeries between them, and one that becomes a dead letter.
func someRecordings(ctx context.Context, s *story.Stage) error {
	var all []*platform.Recording
	for i, size := range story.Sizes(12, 2_000_000, 7) {
		rec, err := s.Platform.Add(platform.Spec{ID: fmt.Sprintf("call-%03d", i+1), Size: size, SendSize: true})
		if err != nil {
			return err
		}
		all = append(all, rec)
	}
	dead, err := story.DeadLink(s.Platform)
	if err != nil {
		return err
	}
	_, err = s.Platform.Burst(ctx, append(all, dead), platform.BurstOptions{InFlight: 4, DuplicateShare: 0.3, StartedShare: 0.3, Forged: 3})
	if err != nil {
		return err
	}
	return s.Settle(ctx)
}

// oneRefused sends a webhook while NATS is away: it must be refused.
func oneRefused(ctx context.Context, s *story.Stage) error {
	rec, err := s.Platform.Add(platform.Spec{ID: "call-refused", Size: 500_000})
	if err != nil {
		return err
	}
	if err := s.Stack.NATS.Freeze(); err != nil {
		return err
	}
	answer, err := s.Platform.Post(ctx, s.Platform.Webhook(rec))
	if err := errors.Join(err, s.Stack.NATS.Thaw()); err != nil {
		return err
	}
	if answer.Code != "unavailable" {
		return fmt.Errorf("a webhook while NATS was away was answered %d %q, want unavailable", answer.Status, answer.Code)
	}
	return nil
}

// until waits until a program tells enough of the metric of that name. It fails when ctx ends.
func until(ctx context.Context, p *fleet.Program, name string, enough func(fleet.Metrics) bool) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		m, err := p.Metrics(ctx)
		if err == nil && enough(m) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait until %s tells %s (its series sum up to %v): %w", p.Name, name, m.Sum(name), errors.Join(context.Cause(ctx), err))
		}
	}
}
