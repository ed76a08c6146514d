// Package monitoring checks the alert rules and the dashboard in deploy/monitoring, and the runbooks that the rules link to.
//
// Prometheus' own promtool says whether the rules are well formed and do what their cases say. This package says whether they
// are about what the programs tell, and whether nothing is left out: a misnamed metric, a runbook that is not there, a rule
// without a case. Each Check returns every fault that it finds, joined, or nil.
package monitoring

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Rule is an alerting or a recording rule.
type Rule struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// Name is the alert's or the record's.
func (r Rule) Name() string { return r.Alert + r.Record }

// ReadRules reads a file of rules.
func ReadRules(path string) ([]Rule, error) {
	var file struct {
		Groups []struct {
			Rules []Rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := readYAML(path, &file); err != nil {
		return nil, err
	}
	var all []Rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no rules", path)
	}
	return all, nil
}

// Alerts are the rules that alert.
func Alerts(all []Rule) []Rule {
	return slices.DeleteFunc(slices.Clone(all), func(r Rule) bool { return r.Alert == "" })
}

func readYAML(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// CheckAlerts demands of each alert what whoever is woken needs: how urgent it is, what is wrong, what is at risk, and a runbook
// of its own that exists in the folder.
func CheckAlerts(rules []Rule, runbooks string) error {
	var errs []error
	for _, r := range Alerts(rules) {
		fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(r.Alert+": "+format, args...)) }
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			fault("severity is %q, want page or ticket", s)
		}
		for _, name := range []string{"summary", "description"} {
			if strings.TrimSpace(r.Annotations[name]) == "" {
				fault("no %s", name)
			}
		}
		file := RunbookFile(r.Alert)
		if url := r.Annotations["runbook_url"]; !strings.HasSuffix(url, "/deploy/runbooks/"+file) {
			fault("runbook_url is %q, want …/deploy/runbooks/%s", url, file)
		}
		if _, err := os.Stat(filepath.Join(runbooks, file)); err != nil {
			fault("no runbook: %w", err)
		}
	}
	return errors.Join(errs...)
}

// capital is where a word of an alert's name begins.
var capital = regexp.MustCompile(`[A-Z][^A-Z]*`)

// RunbookFile is the name of an alert's runbook: TwinreelTierParked's is twinreel-tier-parked.md.
func RunbookFile(alert string) string {
	return strings.ToLower(strings.Join(capital.FindAllString(alert, -1), "-")) + ".md"
}
