package monitoring

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/VictoriaMetrics/metricsql"
)

// Expr is an expression, and where it stands.
type Expr struct{ Where, Text string }

// Exprs are the rules' expressions.
func Exprs(rules []Rule) []Expr {
	var all []Expr
	for _, r := range rules {
		all = append(all, Expr{r.Name(), r.Expr})
	}
	return all
}

// CheckExprs demands that every metric in the expressions is told by the programs, with the labels that are asked for: those of
// matchers, whose values must occur as well, and those by which is grouped and joined. Records of the rules are known, too.
func CheckExprs(exprs []Expr, rules []Rule, exposed Exposed) error {
	k := know(rules, exposed)
	var errs []error
	for _, e := range exprs {
		if _, err := k.parse(e.Text); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.Where, err))
		}
	}
	return errors.Join(errs...)
}

// CheckTemplates demands that every label which an alert's texts name is one that its expression leaves.
func CheckTemplates(rules []Rule, exposed Exposed) error {
	k := know(rules, exposed)
	var errs []error
	for _, r := range Alerts(rules) {
		left, err := k.parse(r.Expr)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", r.Alert, err))
			continue
		}
		for name, text := range r.Annotations {
			for _, m := range namedLabel.FindAllStringSubmatch(text, -1) {
				if !slices.Contains(left, m[1]) {
					errs = append(errs, fmt.Errorf("%s: its %s names the label %s, and its expression leaves %v", r.Alert, name, m[1], left))
				}
			}
		}
	}
	return errors.Join(errs...)
}

var namedLabel = regexp.MustCompile(`\$labels\.(\w+)`)

// target are the labels that Prometheus gives every series that it scrapes.
var target = []string{"instance", "job"}

// knowledge is what series there are.
type knowledge struct {
	exposed Exposed
	records map[string]string
}

func know(rules []Rule, exposed Exposed) knowledge {
	k := knowledge{exposed: exposed.withPrometheus(rules), records: map[string]string{}}
	for _, r := range rules {
		if r.Record != "" {
			k.records[r.Record] = r.Expr
		}
	}
	return k
}

// parse checks an expression and returns the labels that its result may have.
func (k knowledge) parse(text string) ([]string, error) {
	e, err := metricsql.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("parse %q: %w", text, err)
	}
	return k.labels(e)
}

func (k knowledge) labels(e metricsql.Expr) ([]string, error) {
	switch e := e.(type) {
	case *metricsql.MetricExpr:
		return k.selected(e)
	case *metricsql.RollupExpr:
		return k.labels(e.Expr)
	case *metricsql.AggrFuncExpr:
		return k.aggregated(e)
	case *metricsql.FuncExpr:
		return k.computed(e)
	case *metricsql.BinaryOpExpr:
		return k.joined(e)
	default: // numbers and texts
		return nil, nil
	}
}

// selected are the labels of the series that a selector takes.
func (k knowledge) selected(e *metricsql.MetricExpr) ([]string, error) {
	if len(e.LabelFilterss) != 1 || len(e.LabelFilterss[0]) == 0 || e.LabelFilterss[0][0].Label != "__name__" || e.LabelFilterss[0][0].IsRegexp {
		return nil, fmt.Errorf("%s: a selector must name one metric", e.AppendString(nil))
	}
	filters := e.LabelFilterss[0]
	name := filters[0].Value
	if text, ok := k.records[name]; ok {
		return k.parse(text)
	}
	series := k.exposed[name]
	if len(series) == 0 {
		return nil, fmt.Errorf("no program tells %s", name)
	}
	var has []string
	for _, labels := range series {
		for l := range labels {
			if !slices.Contains(has, l) {
				has = append(has, l)
			}
		}
	}
	for _, f := range filters[1:] {
		if slices.Contains(target, f.Label) {
			continue
		}
		if !slices.Contains(has, f.Label) {
			return nil, fmt.Errorf("%s has the labels %v, not %s", name, has, f.Label)
		}
		if err := occurs(name, f, series); err != nil {
			return nil, err
		}
	}
	return slices.Sorted(slices.Values(append(has, target...))), nil
}

// occurs demands that each value which a matcher names (of a regular expression: each alternative) is one that series have; of
// a matcher that excludes values as well: one that never occurs excludes nothing, and is misspelt.
func occurs(name string, f metricsql.LabelFilter, series []map[string]string) error {
	values := []string{f.Value}
	if f.IsRegexp {
		values = strings.Split(f.Value, "|")
	}
	for _, v := range values {
		fits := func(s string) bool { return s == v }
		if f.IsRegexp {
			re, err := regexp.Compile("^(?:" + v + ")$")
			if err != nil {
				return fmt.Errorf("%s: the matcher of %s: %w", name, f.Label, err)
			}
			fits = re.MatchString
		}
		if !slices.ContainsFunc(series, func(labels map[string]string) bool { return fits(labels[f.Label]) }) {
			return fmt.Errorf("no program tells %s with %s %q", name, f.Label, v)
		}
	}
	return nil
}

// aggregated are the labels that an aggregation leaves.
func (k knowledge) aggregated(e *metricsql.AggrFuncExpr) ([]string, error) {
	var in []string
	for _, a := range e.Args {
		one, err := k.labels(a)
		if err != nil {
			return nil, err
		}
		in = append(in, one...)
	}
	for _, l := range e.Modifier.Args {
		if !slices.Contains(in, l) {
			return nil, fmt.Errorf("%s: grouped by %s, and there are the labels %v", e.AppendString(nil), l, in)
		}
	}
	if e.Modifier.Op == "without" {
		return slices.DeleteFunc(in, func(l string) bool { return slices.Contains(e.Modifier.Args, l) }), nil
	}
	return e.Modifier.Args, nil
}

// computed are the labels that a function leaves.
func (k knowledge) computed(e *metricsql.FuncExpr) ([]string, error) {
	var out []string
	for _, a := range e.Args {
		one, err := k.labels(a)
		if err != nil {
			return nil, err
		}
		out = append(out, one...)
	}
	switch e.Name {
	case "absent": // has those that it asks for
		out = nil
		if m, ok := e.Args[0].(*metricsql.MetricExpr); ok {
			for _, f := range m.LabelFilterss[0][1:] {
				out = append(out, f.Label)
			}
		}
	case "label_replace":
		to, ok := e.Args[1].(*metricsql.StringExpr)
		if !ok {
			return nil, fmt.Errorf("%s: into which label?", e.AppendString(nil))
		}
		out = append(out, to.S)
	case "histogram_quantile":
		if !slices.Contains(out, "le") {
			return nil, fmt.Errorf("%s: without the label le", e.AppendString(nil))
		}
		out = slices.DeleteFunc(out, func(l string) bool { return l == "le" })
	}
	return out, nil
}

// joined are the labels that an operator with two sides leaves.
func (k knowledge) joined(e *metricsql.BinaryOpExpr) ([]string, error) {
	left, err := k.labels(e.Left)
	if err != nil {
		return nil, err
	}
	right, err := k.labels(e.Right)
	if err != nil {
		return nil, err
	}
	for _, l := range e.GroupModifier.Args {
		if e.GroupModifier.Op == "on" && (!slices.Contains(left, l) || !slices.Contains(right, l)) {
			return nil, fmt.Errorf("%s: joined on %s, and there are the labels %v and %v", e.AppendString(nil), l, left, right)
		}
	}
	switch strings.ToLower(e.Op) {
	case "or": // only what both sides have is sure to be there
		return slices.DeleteFunc(slices.Clone(left), func(l string) bool { return !slices.Contains(right, l) }), nil
	case "and", "unless":
		return left, nil
	}
	switch {
	case len(left) == 0: // a number, or a vector without labels
		return right, nil
	case e.GroupModifier.Op == "on" && e.JoinModifier.Op == "":
		return e.GroupModifier.Args, nil
	}
	return left, nil
}
