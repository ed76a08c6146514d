package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/deploy/local/internal/chaos"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
)

// breakIt are the flags of the command that breaks everything.
type breakIt struct {
	chaos.Config
	words       []string
	list, short bool
	cuts, turns int
	file        string
}

// breaking is the command that breaks everything and looks what comes of it.
func breaking() *cobra.Command {
	b := &breakIt{Config: chaos.Config{Say: os.Stderr}}
	cmd := &cobra.Command{
		Use:   "chaos",
		Short: "Break servers, stores, lines and programs, and prove from outside that nothing is lost, doubled or slowed by it",
		Example: "  local chaos                          every row, the isolation table, and their document anew\n" +
			"  local chaos --rows s3-403,kill- -o -  some, by the beginnings of their names; the document to stdout",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return b.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&b.words, "rows", nil, "only rows whose names begin so; \"isolation\" for that table")
	flags.BoolVar(&b.list, "list", false, "list all rows and do nothing")
	flags.BoolVar(&b.short, "short", false, "only the rows that CI plays")
	flags.IntVar(&b.Rounds, "rounds", 2, "how often all rows are played")
	flags.IntVar(&b.Parallel, "parallel", 6, "rows at the same time, where they do not disturb each other")
	flags.IntVar(&b.cuts, "cuts", 50, "how often the power is cut in each round")
	flags.IntVar(&b.turns, "turns", 5, "turns of the isolation table; 0: none")
	flags.StringVarP(&b.file, "output", "o", "", "file for the document, - for stdout (deploy/local/CHAOS.md where everything is played, else none)")
	flags.StringVar(&b.Old, "old", "", "folder with an earlier version's programs, for rows that mix versions")
	return cmd
}

// run plays what was asked for.
func (b *breakIt) run(ctx context.Context) error {
	isolation := len(b.words) == 0 && !b.short
	var words []string
	for _, w := range b.words {
		if w == "isolation" {
			isolation = true
			continue
		}
		words = append(words, w)
	}
	var rows []chaos.Row
	if len(words) > 0 || len(b.words) == 0 {
		var err error
		if rows, err = chaos.Choose(words, b.short, b.cuts); err != nil {
			return err
		}
	}
	if b.list {
		return listChaos(os.Stdout, rows)
	}
	t, set, err := ensure(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(t.Say, "building the programs …")
	if err := t.Build(ctx); err != nil {
		return err
	}
	b.Bin, b.Set, b.Root = t.Bin(), set, t.Root
	report, err := b.play(ctx, t, rows, isolation)
	if err != nil {
		return err
	}
	report.Sum(os.Stdout)
	if err := b.write(t, report, isolation && len(b.words) == 0); err != nil {
		return err
	}
	if !report.Green() {
		return exitCode(1)
	}
	return nil
}

// play plays rows and then, by itself, since it is a measurement, the isolation table.
func (b *breakIt) play(ctx context.Context, t tools.Tools, rows []chaos.Row, isolation bool) (report chaos.Report, err error) {
	start := time.Now()
	redis := b.Set.RedisIs
	if b.Set.RedisIsReal {
		redis = "redis-server"
	}
	report = chaos.NewReport(append(tools.Servers(), redis), b.Rounds)
	if len(rows) > 0 {
		fmt.Fprintf(t.Say, "playing %d rows, %d times …\n", len(rows), b.Rounds)
		err = chaos.Run(ctx, b.Config, rows, func(r chaos.Result) {
			report.Results = append(report.Results, r)
			chaos.Tell(os.Stdout, r)
		})
	}
	if err == nil && isolation && b.turns > 0 {
		report.Isolation, err = b.Isolation(ctx, b.turns, 1)
	}
	report.Took = time.Since(start)
	return report, err
}

// write writes the document, where one is wanted.
func (b *breakIt) write(t tools.Tools, report chaos.Report, whole bool) error {
	var to io.Writer = os.Stdout
	switch {
	case b.file == "" && !whole:
		return nil
	case b.file == "":
		b.file = filepath.Join(t.Root, "deploy", "local", "CHAOS.md")
	}
	if b.file == "-" {
		report.Markdown(to)
		return nil
	}
	f, err := os.Create(b.file)
	if err != nil {
		return fmt.Errorf("write the document: %w", err)
	}
	report.Markdown(f)
	fmt.Fprintf(os.Stderr, "written: %s\n", b.file)
	return errors.Join(f.Sync(), f.Close())
}

func listChaos(to io.Writer, rows []chaos.Row) error {
	t := tabwriter.NewWriter(to, 4, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintf(t, "%s\t%s\n", row.Name, row.Injected)
	}
	fmt.Fprintf(t, "isolation\tone tier's figures beside a sibling that is well, dead, frozen, throttling\n")
	return t.Flush()
}
