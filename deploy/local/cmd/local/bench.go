package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/deploy/local/internal/bench"
)

// benchmark is the command that measures.
func benchmark() *cobra.Command {
	var words []string
	var list bool
	var file, against string
	c := bench.Config{Say: os.Stderr}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure Twinreel against a floor, the leanest program that does the same unavoidable work",
		Example: "  local bench                                   all rows but the long ones\n" +
			"  local bench --rows copy-1MiB,copy-20MiB-sinks  some, by the beginnings of their names\n" +
			"  local bench --against before.json              with an earlier run beside it",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if list {
				return listRows(bench.Rows())
			}
			rows, err := bench.Choose(words)
			if err != nil {
				return err
			}
			var old bench.Report
			if against != "" {
				if old, err = bench.Load(against); err != nil {
					return err
				}
			}
			t, set, err := ensure(cmd.Context())
			if err != nil {
				return err
			}
			fmt.Fprintln(t.Say, "building the programs …")
			if err := t.Build(cmd.Context()); err != nil {
				return err
			}
			c.Bin, c.Set = t.Bin(), set
			if c.Self, err = os.Executable(); err != nil {
				return err
			}
			report := bench.NewReport()
			err = bench.Run(cmd.Context(), c, rows, func(r bench.Result) { report.Results = append(report.Results, r) })
			report.Write(os.Stdout, old)
			if file == "" {
				file = filepath.Join(t.Root, ".cache", "bench.json")
			}
			if err := errors.Join(err, report.Save(file)); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "every turn's raw figures are in %s\n", file)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&words, "rows", nil, "only rows whose names begin so")
	flags.BoolVar(&list, "list", false, "list all rows and do nothing")
	flags.IntVar(&c.Rounds, "rounds", 3, "pairs of turns of each row")
	flags.Float64Var(&c.Scale, "scale", 1, "of how many recordings each turn moves; below 1 the figures mean little")
	flags.StringVarP(&file, "output", "o", "", "file for the figures as JSON (.cache/bench.json)")
	flags.StringVar(&against, "against", "", "an earlier run's file, to compare with")
	return cmd
}

func listRows(rows []bench.Row) error {
	t := tabwriter.NewWriter(os.Stdout, 4, 0, 2, ' ', 0)
	for _, row := range rows {
		what := row.What
		if row.Long {
			what += "; takes long: only when it is asked for by its name"
		}
		fmt.Fprintf(t, "%s\t%s\n", row.Name, what)
	}
	return t.Flush()
}

// benchPart is the command by which the benchmark runs processes of its own.
func benchPart() *cobra.Command {
	return &cobra.Command{
		Use: "bench-part NAME", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return bench.Part(cmd.Context(), args[0], os.Stdin, os.Stdout)
		},
	}
}
