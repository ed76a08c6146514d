package fleet

import (
	"os"
	"testing"
)

func TestMetricsAreReadAndSummed(t *testing.T) {
	m, err := parseMetrics([]byte(`# HELP twinreel_deliveries_total How deliveries ended.
# TYPE twinreel_deliveries_total counter
twinreel_deliveries_total{outcome="stored",tier="backup"} 3
twinreel_deliveries_total{outcome="retry",tier="backup"} 4
twinreel_deliveries_total{outcome="stored",tier="primary"} 1e+06

twinreel_deliveries_total_created{outcome="stored",tier="backup"} 9
twinreel_text{label="with a space"} NaN
go_goroutines 12
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"go_goroutines", nil, 12},
		{"twinreel_deliveries_total", nil, 1_000_007},
		{"twinreel_deliveries_total", []string{`tier="backup"`}, 7},
		{"twinreel_deliveries_total", []string{`tier="backup"`, `outcome="stored"`}, 3},
		{"twinreel_deliveries_total", []string{`er="backup"`}, 0},
		{"twinreel_nothing", nil, 0},
	} {
		if got := m.Sum(c.name, c.labels...); got != c.want {
			t.Errorf("%s %v is %v, want %v", c.name, c.labels, got, c.want)
		}
	}
}

func TestMetricsThatAreNoneAreRefused(t *testing.T) {
	for _, text := range []string{"<html>", "name value"} {
		if m, err := parseMetrics([]byte(text)); err == nil {
			t.Errorf("%q was read as %v", text, m)
		}
	}
}

func TestHighWaterIsInKiB(t *testing.T) {
	if got := highWater([]byte("Name:\tx\nVmHWM:\t  123456 kB\nVmRSS:\t 1 kB\n")); got != 123456 {
		t.Errorf("high water %d, want 123456", got)
	}
	if got := highWater([]byte("Name:\tx\n")); got != 0 {
		t.Errorf("high water of nothing is %d", got)
	}
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	if highWater(own) < 1024 {
		t.Error("this very process is said to have less than a MiB")
	}
}
