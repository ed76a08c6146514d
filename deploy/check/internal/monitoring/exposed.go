package monitoring

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Exposed is what programs tell: the labels of each series, by the metric's name. A histogram's are _bucket, _sum and _count.
type Exposed map[string][]map[string]string

// ReadExposed reads one file <program>.prom of each program, as its /metrics answered.
func ReadExposed(folder string, programs []string) (Exposed, error) {
	all := Exposed{}
	for _, program := range programs {
		path := filepath.Join(folder, program+".prom")
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := all.add(text); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if !all.has("twinreel_build_info", "program", program) {
			return nil, fmt.Errorf("%s is not of %s: no such twinreel_build_info", path, program)
		}
	}
	return all, nil
}

// A series in Prometheus' text format, and one of its labels.
var (
	seriesLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$`)
	oneLabel   = regexp.MustCompile(`^([a-zA-Z_][a-zA-Z0-9_]*)=("(?:[^"\\]|\\.)*"),?`)
)

func (e Exposed) add(text []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		m := seriesLine.FindStringSubmatch(line)
		if m == nil {
			return fmt.Errorf("not a series: %q", line)
		}
		labels := map[string]string{}
		for rest := m[2]; rest != ""; {
			l := oneLabel.FindStringSubmatch(rest)
			if l == nil {
				return fmt.Errorf("not labels: %q", rest)
			}
			value, err := strconv.Unquote(l[2])
			if err != nil {
				return fmt.Errorf("the label %s: %w", l[0], err)
			}
			labels[l[1]], rest = value, rest[len(l[0]):]
		}
		e[m[1]] = append(e[m[1]], labels)
	}
	return lines.Err()
}

func (e Exposed) has(metric, label, value string) bool {
	for _, labels := range e[metric] {
		if labels[label] == value {
			return true
		}
	}
	return false
}

// Prometheus itself adds what the programs do not tell: of each target, and of each alert.
func (e Exposed) withPrometheus(rules []Rule) Exposed {
	all := maps.Clone(e)
	all["up"] = []map[string]string{{}}
	for _, r := range Alerts(rules) {
		labels := map[string]string{"alertname": r.Alert, "severity": r.Labels["severity"], "tier": "", "reason": "", "stream": "", "source": "", "kind": "", "program": ""}
		all["ALERTS_FOR_STATE"] = append(all["ALERTS_FOR_STATE"], labels)
		state := maps.Clone(labels)
		state["alertstate"] = "firing"
		all["ALERTS"] = append(all["ALERTS"], state)
	}
	return all
}
