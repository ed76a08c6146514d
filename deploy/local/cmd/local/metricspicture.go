package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/story"
)

// The picture's run: recordings come all the time, S3 is away in the middle. The reconciler looks at the queue every ten
// seconds, so a shorter outage would hardly be seen.
const (
	pictureBefore = 20 * time.Second
	pictureAway   = 50 * time.Second
	pictureAfter  = 40 * time.Second
	pictureSample = time.Second
)

// curve is one line of a chart: what is measured, of which program.
type curve struct {
	of     func(*story.Stage) *fleet.Program
	metric string
	labels []string
	name   string
}

// chart is some curves over time.
type chart struct {
	title  string
	curves []curve
	values [][]float64 // by curve, by sample
}

// metricsPicture is the command that draws the dashboard's main figures from a real run.
func metricsPicture() *cobra.Command {
	return &cobra.Command{
		Use:   "picture FILE.svg",
		Short: "Run the programs, stop S3 for a while, and draw what they tell meanwhile",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			stage, err := open(cmd.Context(), "", story.DemoPlatform())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, stage.Close()) }()
			charts := charts()
			away, err := sampleOutage(cmd.Context(), stage, charts)
			if err != nil {
				return err
			}
			if err := os.WriteFile(args[0], []byte(drawing(charts, away)), 0o644); err != nil {
				return fmt.Errorf("write the picture: %w", err)
			}
			return nil
		},
	}
}

// charts are the figures of the dashboard that show an outage.
func charts() []*chart {
	workers := map[string]func(*story.Stage) *fleet.Program{
		"primary": func(s *story.Stage) *fleet.Program { return s.Primary }, "backup": func(s *story.Stage) *fleet.Program { return s.Backup },
	}
	ingress := func(s *story.Stage) *fleet.Program { return s.Ingress }
	reconciler := func(s *story.Stage) *fleet.Program { return s.Reconciler }
	weight, breaker := &chart{title: "Share of new recordings"}, &chart{title: "Breaker (0 closed, 1 half-open, 2 open)"}
	waits, oldest := &chart{title: "Waiting for a tier, or tried before"}, &chart{title: "Oldest without its copy, seconds"}
	stored := &chart{title: "Stored since the start"}
	for _, t := range story.Tiers() {
		tier := fmt.Sprintf("tier=%q", t)
		weight.curves = append(weight.curves, curve{ingress, "twinreel_tier_weight", []string{tier}, t})
		breaker.curves = append(breaker.curves, curve{workers[t], "twinreel_breaker_state", []string{tier}, t})
		waits.curves = append(waits.curves, curve{reconciler, "twinreel_backlog", []string{tier}, t})
		oldest.curves = append(oldest.curves, curve{reconciler, "twinreel_oldest_unfinished_seconds", []string{tier}, t})
		stored.curves = append(stored.curves, curve{workers[t], "twinreel_deliveries_total", []string{tier, `outcome="stored"`}, t})
	}
	return []*chart{oldest, waits, weight, breaker, stored}
}

// sampleOutage plays the run and fills in the charts. It returns the samples between which S3 was away.
func sampleOutage(ctx context.Context, s *story.Stage, charts []*chart) (away [2]int, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	sent := make(chan error, 1)
	go func() { sent <- drip(ctx, s) }()
	n := 0
	sample := func(until time.Duration) error {
		tick := time.NewTicker(pictureSample)
		defer tick.Stop()
		for end := n + int(until/pictureSample); n < end; n++ {
			if err := take(ctx, s, charts); err != nil {
				return err
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	}
	if err := sample(pictureBefore); err != nil {
		return away, err
	}
	away[0] = n
	if err := s.Stack.S3.Stop(); err != nil {
		return away, err
	}
	if err := sample(pictureAway); err != nil {
		return away, err
	}
	away[1] = n
	if err := s.Stack.S3.Start(ctx); err != nil {
		return away, err
	}
	if err := sample(pictureAfter); err != nil {
		return away, err
	}
	stop()
	return away, <-sent
}

// drip sends three recordings a second until ctx ends.
func drip(ctx context.Context, s *story.Stage) error {
	tick := time.NewTicker(time.Second / 3)
	defer tick.Stop()
	for i := 0; ; i++ {
		rec, err := s.Platform.Add(platform.Spec{ID: fmt.Sprintf("call-%04d", i), Size: int64(60_000 + i%7*10_000), SendSize: true})
		if err == nil {
			_, err = s.Platform.Send(ctx, rec)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// take asks each program once.
func take(ctx context.Context, s *story.Stage, charts []*chart) error {
	told := map[*fleet.Program]fleet.Metrics{}
	for _, c := range charts {
		if c.values == nil {
			c.values = make([][]float64, len(c.curves))
		}
		for i, one := range c.curves {
			p := one.of(s)
			if told[p] == nil {
				m, err := p.Metrics(ctx)
				if err != nil {
					return err
				}
				told[p] = m
			}
			c.values[i] = append(c.values[i], told[p].Sum(one.metric, one.labels...))
		}
	}
	return nil
}

// drawing is the charts as an SVG: side by side, the outage shaded, each with its highest value.
func drawing(charts []*chart, away [2]int) string {
	const wide, high, left, gap = 380, 110, 40, 50
	colours := []string{"#d9480f", "#1971c2"}
	var b strings.Builder
	rows := (len(charts) + 1) / 2
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", 2*(wide+left)+gap, rows*(high+gap)+20)
	fmt.Fprintln(&b, `<rect width="100%" height="100%" fill="white"/>`)
	for n, c := range charts {
		x, y := left+n%2*(wide+gap), 30+n/2*(high+gap)
		samples, most := len(c.values[0]), 1.0
		for _, line := range c.values {
			for _, v := range line {
				most = max(most, v)
			}
		}
		at := func(i int) float64 { return float64(x) + float64(i)*wide/float64(samples-1) }
		fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="#f1f3f5"/>`+"\n", at(away[0]), y, at(away[1])-at(away[0]), high)
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-weight="bold">%s</text><text x="%d" y="%d" text-anchor="end">%.3g</text><text x="%d" y="%d" text-anchor="end">0</text>`+"\n",
			x, y-8, c.title, x-6, y+10, most, x-6, y+high)
		fmt.Fprintf(&b, `<path d="M%d %dv%dh%d" fill="none" stroke="#868e96"/><text x="%.1f" y="%d" fill="#868e96">S3 away for %d s</text>`+"\n",
			x, y, high, wide, at(away[0])+4, y+high+14, (away[1]-away[0])*int(pictureSample/time.Second))
		for i, line := range c.values {
			points := make([]string, len(line))
			for j, v := range line {
				points[j] = fmt.Sprintf("%.1f,%.1f", at(j), float64(y+high)-v/most*high)
			}
			fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", strings.Join(points, " "), colours[i])
			fmt.Fprintf(&b, `<text x="%d" y="%d" fill="%s" text-anchor="end">%s</text>`+"\n", x+wide-i*60, y-8, colours[i], c.curves[i].name)
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}
