package fleet

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/twinreel/twinreel/deploy/local/internal/process"
)

// Metrics is what a program's /metrics said: value by series, as in twinreel_deliveries_total{outcome="stored",tier="backup"}.
type Metrics map[string]float64

// Metrics asks the program for its metrics.
func (p *Program) Metrics(ctx context.Context) (Metrics, error) {
	text, err := p.MetricsText(ctx)
	if err != nil {
		return nil, err
	}
	return parseMetrics(text)
}

// MetricsText is what the program's /metrics says, in Prometheus' text format.
func (p *Program) MetricsText(ctx context.Context) ([]byte, error) {
	body, status, err := p.get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("ask %s for its metrics: answered %d", p.Name, status)
	}
	return body, nil
}

// parseMetrics reads Prometheus' text format.
func parseMetrics(text []byte) (Metrics, error) {
	m := make(Metrics)
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		// A label's value may hold spaces, but the value after the last space cannot.
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			return nil, fmt.Errorf("parse metrics: no value in %q", line)
		}
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("parse metrics: %w", err)
		}
		m[line[:at]] = v
	}
	return m, lines.Err()
}

// Sum adds up all series of a name that carry all of the labels, each written as in the text: tier="backup".
func (m Metrics) Sum(name string, labels ...string) float64 {
	var sum float64
next:
	for series, v := range m {
		rest, ok := strings.CutPrefix(series, name)
		if !ok || (rest != "" && rest[0] != '{') {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(rest, "{"+l) && !strings.Contains(rest, ","+l) {
				continue next
			}
		}
		sum += v
	}
	return sum
}

// Has tells whether there is any series of a name, whatever its value.
func (m Metrics) Has(name string) bool {
	for series := range m {
		if rest, ok := strings.CutPrefix(series, name); ok && (rest == "" || rest[0] == '{') {
			return true
		}
	}
	return false
}

// PeakRSS is the most memory, in bytes, that the program ever had resident, over all its lives; each life counts up to
// when it was last asked, stopped or killed by this package.
func (p *Program) PeakRSS() int64 {
	p.notePeak()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peak
}

// notePeak reads the kernel's high-water mark. A process that has just ended has none any more.
func (p *Program) notePeak() {
	proc := p.process()
	if !proc.Running() {
		return
	}
	peak := process.PeakRSS(proc.PID())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peak = max(p.peak, peak)
}
