package reconcile

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/reconciler/internal/plan"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
)

// The results of runs, as twinreel_reconcile_runs_total counts them.
const (
	resultInStep  = "in_step"
	resultDiffers = "differs"
	resultRefused = "refused" // above the cap
	resultFailed  = "failed"
)

// Metrics are the numbers of runs.
type Metrics struct {
	runs       *prometheus.CounterVec
	findings   *prometheus.GaugeVec
	success    prometheus.Gauge
	quarantine prometheus.Gauge
}

// NewMetrics registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "twinreel_reconcile_runs_total", Help: "Runs that ended, by result."}, []string{"result"}),
		findings: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "twinreel_reconcile_findings", Help: "Findings of the last run, of those that were not noted in quarantine before.",
		}, []string{"kind"}),
		success: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "twinreel_reconcile_last_success_timestamp_seconds", Help: "When the last run that did not fail ended.",
		}),
		quarantine: prometheus.NewGauge(prometheus.GaugeOpts{Name: "twinreel_quarantine_open", Help: "Recordings and objects in quarantine that nobody has resolved."}),
	}
	for _, result := range []string{resultInStep, resultDiffers, resultRefused, resultFailed} {
		m.runs.WithLabelValues(result)
	}
	for _, k := range plan.Kinds() {
		m.findings.WithLabelValues(string(k))
	}
	r.MustRegister(m.runs, m.findings, m.success, m.quarantine)
	return m
}

// ended notes how a run ended.
func (m *Metrics) ended(r Result, err error, now time.Time) {
	switch {
	case err != nil:
		m.runs.WithLabelValues(resultFailed).Inc()
		return
	case r.Repair.Refused:
		m.runs.WithLabelValues(resultRefused).Inc()
	case r.Remaining > 0:
		m.runs.WithLabelValues(resultDiffers).Inc()
	default:
		m.runs.WithLabelValues(resultInStep).Inc()
	}
	if !r.Repair.Refused {
		m.success.Set(float64(now.Unix()))
	}
	for _, k := range plan.Kinds() {
		m.findings.WithLabelValues(string(k)).Set(float64(r.Plan.ByKind[k]))
	}
}

// countEvery is how often quarantine is counted.
const countEvery = time.Minute

// CountQuarantine keeps the number of open records until ctx ends.
func (m *Metrics) CountQuarantine(ctx context.Context, book *quarantine.Book, log *zap.Logger) {
	for counter := book.Counter(); ctx.Err() == nil; rest(ctx, countEvery) {
		n, err := counter.Count(ctx)
		switch {
		case err == nil:
			m.quarantine.Set(float64(n))
		case ctx.Err() == nil:
			log.Warn("quarantine cannot be counted", zap.String("error", fault.Text(err)))
		}
	}
}
