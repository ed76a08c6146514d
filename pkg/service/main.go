package service

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/telemetry"
)

// Program is a program that does nothing but run in the foreground.
type Program struct {
	Name     string
	About    string  // one sentence for --help
	Settings any     // pointer to the program's whole configuration
	Service  *Config // the part of it that is this package's
	Run      Run
}

// world is what a program gets from outside.
type world struct {
	args           []string
	lookup         func(string) (string, bool)
	stdout, stderr io.Writer
}

// Main is the whole of a program's main: it reads flags and settings, runs, and returns the exit code.
func Main(p Program) int {
	return p.main(world{os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr})
}

// errDone says that a flag was answered and nothing is to be run.
var errDone = errors.New("done")

func (p Program) main(w world) int {
	switch err := p.flags(w); {
	case errors.Is(err, errDone):
		return ExitOK
	case err != nil:
		_, _ = fmt.Fprintf(w.stderr, "%s: %v\nSee %s --help.\n", p.Name, err, p.Name)
		return ExitUsage
	}
	log, err := Load(p.Settings, p.Service, w.lookup, w.stderr)
	if err != nil {
		_, _ = fmt.Fprintln(w.stderr, err)
		return ExitUsage
	}
	return Serve(p.Name, *p.Service, log, p.Run)
}

// flags reads the command line. It returns errDone when all that was asked for has been printed.
func (p Program) flags(w world) error {
	set := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	version := set.Bool("version", false, "")
	describe := set.Bool("settings", false, "")
	format := set.String("o", "table", "")
	err := set.Parse(w.args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = io.WriteString(w.stdout, p.help())
		return errDone
	case err != nil:
		return err
	case set.NArg() > 0:
		return fmt.Errorf("unexpected argument %.80q", set.Arg(0))
	case *format != "table" && *format != "json":
		return fmt.Errorf("-o %.80q: want table or json", *format)
	case *version:
		_, _ = fmt.Fprintf(w.stdout, "%s %s\n", p.Name, telemetry.Version())
		return errDone
	case *describe:
		if err := WriteSettings(w.stdout, *format, p.Settings); err != nil {
			return err
		}
		return errDone
	}
	return nil
}

// WriteSettings writes what --settings prints: the variables of the configurations as a "table" or as "json".
func WriteSettings(w io.Writer, format string, configs ...any) error {
	list := settings.Describe(configs...)
	if format == "json" {
		return settings.WriteJSON(w, list)
	}
	return settings.WriteTable(w, list)
}

// help is the text of --help. NAME stands for the program's.
func (p Program) help() string {
	const text = `NAME: ABOUT

Usage:
  NAME                          run in the foreground until SIGTERM or SIGINT
  NAME --settings [-o json]     list every environment variable it reads: default, required, secret, meaning
  NAME --version                print the version
  NAME --help                   print this

All settings come from the environment. What is wrong with them is printed at once, one line a variable, with exit
code 2. Health and metrics are at TWINREEL_ADMIN_ADDR: /livez, /readyz, /metrics. Log lines go to stderr.

Examples:
  NAME --settings -o json | jq -r '.[] | select(.required) | .name'
  TWINREEL_LOG_FORMAT=console TWINREEL_ADMIN_ADDR=127.0.0.1:9190 NAME
  curl -s http://127.0.0.1:9090/readyz | jq
`
	return strings.NewReplacer("NAME", p.Name, "ABOUT", p.About).Replace(text)
}
