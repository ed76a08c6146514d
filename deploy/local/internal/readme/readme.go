// Package readme keeps the settings tables of the READMEs equal to what the programs say with --settings.
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

// Table is one generated table: what stands between two markers of a file.
type Table struct {
	File    string // relative to the repository's root
	Marker  string // <!-- MARKER:begin --> … <!-- MARKER:end -->
	Program string
}

// Tables lists the generated tables of those programs: one in the root README, and one in the program's own where it has
// markers for it.
func Tables(root string, programs []string) ([]Table, error) {
	var out []Table
	for _, p := range programs {
		out = append(out, Table{File: "README.md", Marker: "settings:" + p, Program: p})
		own := filepath.Join(p, "README.md")
		b, err := os.ReadFile(filepath.Join(root, own))
		if err != nil {
			return nil, err
		}
		if bytes.Contains(b, []byte(begin("settings"))) {
			out = append(out, Table{File: own, Marker: "settings", Program: p})
		}
	}
	return out, nil
}

// Settings asks a program built into bin for its table.
func Settings(ctx context.Context, bin, program string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(bin, program), "--settings")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s --settings: %w: %s", program, err, stderr.String())
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
		table, err := Settings(ctx, bin, t.Program)
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
