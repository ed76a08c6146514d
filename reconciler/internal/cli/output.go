package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// The values of -o.
const (
	table  = "table"
	asJSON = "json"
	ndjson = "ndjson"
)

func (a *app) checkFormat() error {
	switch a.format {
	case table, asJSON, ndjson:
		return nil
	}
	return usagef("-o %.40q: want %s, %s or %s", a.format, table, asJSON, ndjson)
}

// settingsFormat is the format of --settings, which knows no lines.
func (a *app) settingsFormat() string {
	if a.format == ndjson {
		return asJSON
	}
	return a.format
}

// printList writes a list: for programs as an array, or one item a line; for people as a table of rows with a header.
// empty says in words that there is nothing.
func printList[T any](a *app, list []T, empty string, header []string, row func(T) []string) error {
	if len(list) == 0 && empty != "" {
		a.say("%s", empty)
	}
	switch a.format {
	case asJSON:
		return writeJSON(a.Stdout, list, "  ")
	case ndjson:
		for _, one := range list {
			if err := writeJSON(a.Stdout, one, ""); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		return nil
	}
	rows := make([][]string, 0, len(list))
	for _, one := range list {
		rows = append(rows, row(one))
	}
	return writeTable(a.Stdout, header, rows)
}

// printOne writes one thing: for programs as JSON, indented or in one line; for people as text does.
func (a *app) printOne(v any, text func(io.Writer) error) error {
	switch a.format {
	case asJSON:
		return writeJSON(a.Stdout, v, "  ")
	case ndjson:
		return writeJSON(a.Stdout, v, "")
	}
	return text(a.Stdout)
}

func writeJSON(w io.Writer, v any, indent string) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// writeTable writes rows in aligned columns. An empty cell is shown as a dash.
func writeTable(w io.Writer, header []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(header) > 0 {
		_, _ = fmt.Fprintln(t, strings.Join(header, "\t"))
	}
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			if cells[i] = cell; cell == "" {
				cells[i] = "-"
			}
		}
		_, _ = fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// stamp writes a time for people and programs alike, "" for none.
func stamp(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// shorten cuts a text for a table's cell.
func shorten(s string, runes int) string {
	if r := []rune(s); len(r) > runes {
		return string(r[:runes-1]) + "…"
	}
	return s
}

func number[T int | uint64 | int64](n T) string { return strconv.FormatInt(int64(n), 10) }
