// Package readme keeps what pages quote of the programs equal to what they say: the settings tables of the READMEs, and the
// plans of deploy/CAPACITY.md.
package readme

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Table is one generated text: what stands between two markers of a file.
type Table struct {
	File    string // relative to the repository's root
	Marker  string // <!-- MARKER:begin --> … <!-- MARKER:end -->
	Program string
	Args    []string
	Shown   bool // as a console shows it: the command, then what it printed
}

// plans are the numbers of recordings a day that the capacity page has plans for, each with what is shown besides.
func plans() []Table {
	const page, program = "deploy/CAPACITY.md", "reconciler"
	var out []Table
	for _, args := range [][]string{{"10000"}, {"1000000", "--figures=false"}, {"100000000", "--figures=false"}} {
		out = append(out, Table{File: page, Marker: "capacity:" + args[0], Program: program, Args: append([]string{"capacity", "--per-day"}, args...), Shown: true})
	}
	return out
}

// Tables lists the generated texts of those programs: a settings table in the root README, and one in the program's own where
// it has markers for it; and the reconciler's plans.
func Tables(root string, programs []string) ([]Table, error) {
	out, settings := plans(), []string{"--settings"}
	for _, p := range programs {
		out = append(out, Table{File: "README.md", Marker: "settings:" + p, Program: p, Args: settings})
		own := filepath.Join(p, "README.md")
		b, err := os.ReadFile(filepath.Join(root, own))
		if err != nil {
			return nil, err
		}
		if bytes.Contains(b, []byte(begin("settings"))) {
			out = append(out, Table{File: own, Marker: "settings", Program: p, Args: settings})
		}
	}
	return out, nil
}

// Say has a program built into bin say its text. It has no environment, so that the text does not depend on whose it is.
func (t Table) Say(ctx context.Context, bin string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(bin, t.Program), t.Args...)
	cmd.Stderr, cmd.Env = &stderr, []string{}
	out, err := cmd.Output()
	command := strings.Join(append([]string{t.Program}, t.Args...), " ")
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", command, err, stderr.String())
	}
	if t.Shown {
		return "```console\n$ " + command + "\n" + string(out) + "```", nil
	}
	return string(out), nil
}

// Replace returns text with table between the markers.
func Replace(text, marker, table string) (string, error) {
	head, rest, found := strings.Cut(text, begin(marker))
	_, tail, closed := strings.Cut(rest, end(marker))
	if !found || !closed {
		return "", fmt.Errorf("no markers %s … %s", begin(marker), end(marker))
	}
	return head + begin(marker) + "\n" + strings.TrimSuffix(table, "\n") + "\n" + end(marker) + tail, nil
}

// Update brings every table up to date and returns the files that changed. With dry nothing is written.
func Update(ctx context.Context, root, bin string, programs []string, dry bool) ([]string, error) {
	tables, err := Tables(root, programs)
	if err != nil {
		return nil, err
	}
	var changed []string
	for _, t := range tables {
		path := filepath.Join(root, t.File)
		old, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		table, err := t.Say(ctx, bin)
		if err != nil {
			return nil, err
		}
		text, err := Replace(string(old), t.Marker, table)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.File, err)
		}
		if text == string(old) {
			continue
		}
		changed = append(changed, t.File)
		if dry {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return changed, nil
}

func begin(marker string) string { return "<!-- " + marker + ":begin -->" }
func end(marker string) string   { return "<!-- " + marker + ":end -->" }
