package fleet

import "testing"

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
		if got := m.Has(c.name); got != (c.name != "twinreel_nothing") {
			t.Errorf("there is a series of %s: %v", c.name, got)
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
