package scrub

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/plan"
)

// Metrics are what is counted. The gauges are there only while somebody scrubs, so that those of several instances can be
// told together.
type Metrics struct {
	projected, done          *prometheus.GaugeVec
	bytes, objects, findings *prometheus.CounterVec
}

// NewMetrics registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "twinreel_scrub_" + name, Help: help}, labels)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "twinreel_scrub_" + name, Help: help}, labels)
	}
	m := &Metrics{
		projected: gauge("projected_seconds", "How long reading back everything once takes within the budget; at least the period, 0 if there is nothing."),
		done:      gauge("turn_progress", "Share of the tier's bytes that the turn has read, 0 to 1.", "tier"),
		bytes:     counter("bytes_total", "Media bytes read back.", "tier"),
		objects:   counter("objects_total", "Copies that were judged, by what came of it.", "tier", "verdict"),
		findings:  counter("findings_total", "Copies found to differ from what was agreed on; again with each turn.", "tier", "kind"),
	}
	for _, t := range tier.All() {
		m.bytes.WithLabelValues(t.String())
		for _, kind := range []plan.Kind{plan.SizeDiffers, plan.ChecksumDiffers} {
			m.findings.WithLabelValues(t.String(), string(kind))
		}
		for _, v := range verdicts() {
			m.objects.WithLabelValues(t.String(), string(v))
		}
	}
	r.MustRegister(m.projected, m.done, m.bytes, m.objects, m.findings)
	return m
}

// progress tells how much of its turn a tier has done.
func (m *Metrics) progress(t tier.Tier, share float64) { m.done.WithLabelValues(t.String()).Set(share) }

// clear takes back what holds only while somebody scrubs.
func (m *Metrics) clear() {
	m.projected.Reset()
	m.done.Reset()
}
