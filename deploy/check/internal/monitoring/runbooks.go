package monitoring

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// sections are what each rule's runbook has, in this order.
var sections = []string{"**Is anything at risk?**", "## First look", "## What to do", "## Over when"}

// A line of a block of commands, and what may stand in it for something that only the reader knows.
var (
	commands    = regexp.MustCompile("(?s)```sh\n(.*?)```")
	command     = regexp.MustCompile(`^(reconciler [a-z]|curl -s http://127\.0\.0\.1:9090/(readyz|livez|metrics)$)`)
	placeholder = regexp.MustCompile(`\$\w+`)
	known       = []string{"$RECORDING", "$TIER", "$LETTER", "$PLAN", "$OBJECT"}
)

// CheckRunbooks demands of each alert's runbook that it answers what whoever is woken asks, and that its commands can be run as
// they stand. A runbook named like an alert's needs that alert: nobody would find it otherwise.
func CheckRunbooks(rules []Rule, runbooks string) error {
	var errs []error
	var of []string
	for _, r := range Alerts(rules) {
		of = append(of, RunbookFile(r.Alert))
		text, err := os.ReadFile(filepath.Join(runbooks, RunbookFile(r.Alert)))
		if err == nil {
			err = checkRunbook(string(text), r.Alert)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", RunbookFile(r.Alert), err))
		}
	}
	files, err := filepath.Glob(filepath.Join(runbooks, "twinreel-*.md"))
	if err != nil {
		return err
	}
	for _, path := range files {
		if !slices.Contains(of, filepath.Base(path)) {
			errs = append(errs, fmt.Errorf("%s: no alert of that name", path))
		}
	}
	return errors.Join(errs...)
}

func checkRunbook(text, alert string) error {
	if !strings.HasPrefix(text, "# "+alert+"\n") {
		return fmt.Errorf("its title is not %s", alert)
	}
	rest := text
	for _, s := range sections {
		_, after, ok := strings.Cut(rest, s)
		if !ok {
			return fmt.Errorf("no %q, or not in its place", s)
		}
		rest = after
	}
	blocks := commands.FindAllStringSubmatch(text, -1)
	if len(blocks) == 0 {
		return errors.New("no command to look with")
	}
	for _, b := range blocks {
		for _, line := range strings.Split(strings.TrimSpace(b[1]), "\n") {
			if !command.MatchString(line) {
				return fmt.Errorf("%q is no command that a test could run", line)
			}
			for _, p := range placeholder.FindAllString(line, -1) {
				if !slices.Contains(known, p) {
					return fmt.Errorf("%q: what is %s?", line, p)
				}
			}
		}
	}
	return nil
}
