// Package cli is the reconciler's command line: one file a command. A command reads its settings, talks to what it needs,
// and prints its result to stdout; everything else goes to stderr.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/service"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/telemetry"
	"github.com/twinreel/twinreel/reconciler/internal/config"
)

// program is the program's name.
const program = "reconciler"

// World is what the program gets from outside.
type World struct {
	Args           []string
	Lookup         func(string) (string, bool) // of the environment
	Stdin          io.Reader                   // asked for a yes where it is a terminal
	Stdout, Stderr io.Writer
}

// app is one run of the program.
type app struct {
	World
	format  string                        // of -o
	started bool                          // the command line was understood
	refusal atomic.Pointer[queue.Refusal] // the first
	stop    func()                        // ends the command
	saying  sync.Mutex                    // held while a line is written
}

// usageError is a wrong command line.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Main runs the command line and returns the exit code: 0 done, 1 failed, 2 wrong usage or settings.
func Main(ctx context.Context, w World) int {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	a := &app{World: w, stop: stop}
	root := a.root()
	err := root.ExecuteContext(ctx)
	if r := a.refusal.Load(); r != nil && err != nil { // whatever it looks like from where it ended
		err = fmt.Errorf("%w (%w)", r, err)
	}
	var problems settings.Problems
	var usage usageError
	var code exit
	switch {
	case err == nil:
		return service.ExitOK
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &problems):
		a.say("%v", problems)
		return service.ExitUsage
	case errors.As(err, &usage) || !a.started:
		a.say("%s: %s\nSee %s --help.", program, fault.Text(err), program)
		return service.ExitUsage
	}
	a.say("%s: %s", program, fault.Text(err))
	return service.ExitFailed
}

// say writes one line for people to stderr.
func (a *app) say(format string, args ...any) {
	a.saying.Lock()
	defer a.saying.Unlock()
	_, _ = fmt.Fprintf(a.Stderr, format+"\n", args...)
}

func (a *app) root() *cobra.Command {
	var describe bool
	root := &cobra.Command{
		Use:   program,
		Short: "Compare, repair, audit and operate Twinreel",
		Long: `Proves that both stores hold what was acknowledged, mends what can be mended, and writes down what it found; and the
operator's command line of Twinreel. With run it stays in the foreground and does so by itself.

All settings come from the environment (see --settings); a command needs only those of what it talks to. Results go to
stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage or settings;
once and doctor: 3, something needs work.`,
		Example: `  reconciler doctor
  reconciler provision
  reconciler run
  reconciler once --dry-run
  reconciler tiers -o json
  reconciler dlq list --tier primary --since 24h
  reconciler --settings -o json`,
		Version:       telemetry.Version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			a.started = true
			return a.checkFormat()
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if describe {
				return service.WriteSettings(a.Stdout, a.settingsFormat(), config.All()...)
			}
			return needSubcommand(cmd)
		},
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetArgs(a.Args)
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.PersistentFlags().StringVarP(&a.format, "output", "o", "table", "table for people, json or ndjson for programs")
	root.Flags().BoolVar(&describe, "settings", false, "list every environment variable that the commands read")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{table, asJSON, ndjson}, cobra.ShellCompDirectiveNoFileComp))
	root.AddCommand(
		a.daemon(),
		a.once(),
		a.doctor(),
		a.provision(),
		a.capacity(),
		a.tiers(),
		a.recording(),
		a.quarantine(),
		a.dlq(),
		a.importing(),
		a.audit(),
		a.webhook(),
		a.ledgers(),
		a.objective(),
	)
	return root
}

// parent returns a command that only holds others.
func parent(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return needSubcommand(cmd) },
	}
	for _, child := range children {
		if c.Example != "" {
			c.Example += "\n"
		}
		c.Example += child.Example
	}
	c.AddCommand(children...)
	return c
}

// needSubcommand is the answer to a command that does nothing by itself.
func needSubcommand(cmd *cobra.Command) error {
	names := ""
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			names += " " + c.Name()
		}
	}
	if !cmd.HasParent() {
		return usagef("want one of:%s", names)
	}
	return usagef("%s: want one of:%s", cmd.Name(), names)
}

// load fills a command's settings.
func (a *app) load(into any) error {
	return settings.Load(into, a.Lookup, settings.OnWarning(func(variable, text string) { a.say("%s: %s", variable, text) }))
}
