package monitoring

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
)

// Cases say of each alert how often it is expected to fire, and not to.
type Cases map[string]struct{ Fires, Rests int }

// firing is how a case asks for an alert that fires.
var firing = regexp.MustCompile(`^ALERTS\{alertname="(\w+)",alertstate="firing"`)

// ReadCases reads all files of cases in a folder, as promtool takes them.
func ReadCases(folder string) (Cases, []string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, nil, err
	}
	all := Cases{}
	for _, path := range files {
		if err := all.read(path); err != nil {
			return nil, nil, err
		}
	}
	if len(all) == 0 {
		return nil, nil, fmt.Errorf("%s: no cases", folder)
	}
	return all, files, nil
}

func (c Cases) read(path string) error {
	var file struct {
		Tests []struct {
			Alerts []struct {
				Name string `yaml:"alertname"`
				Want []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
			Exprs []struct {
				Expr string `yaml:"expr"`
				Want []any  `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		} `yaml:"tests"`
	}
	if err := readYAML(path, &file); err != nil {
		return err
	}
	for _, test := range file.Tests {
		for _, one := range test.Alerts {
			c.add(one.Name, len(one.Want) > 0)
		}
		for _, one := range test.Exprs {
			if m := firing.FindStringSubmatch(one.Expr); m != nil {
				c.add(m[1], len(one.Want) > 0)
			}
		}
	}
	return nil
}

func (c Cases) add(alert string, fires bool) {
	n := c[alert]
	if fires {
		n.Fires++
	} else {
		n.Rests++
	}
	c[alert] = n
}

// CheckCases demands a case in which each alert fires, one in which it does not, and no case of an alert that does not exist:
// that one could not fail.
func CheckCases(rules []Rule, cases Cases) error {
	var errs []error
	known := map[string]bool{}
	for _, r := range Alerts(rules) {
		known[r.Alert] = true
		if cases[r.Alert].Fires == 0 {
			errs = append(errs, fmt.Errorf("%s: no case in which it fires", r.Alert))
		}
		if cases[r.Alert].Rests == 0 {
			errs = append(errs, fmt.Errorf("%s: no case in which it does not fire", r.Alert))
		}
	}
	for name := range cases {
		if !known[name] {
			errs = append(errs, fmt.Errorf("%s: there are cases, and no such alert", name))
		}
	}
	return errors.Join(errs...)
}
