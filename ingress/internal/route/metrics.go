package route

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// metrics are the Router's numbers. Their counters are looked up once, not for each webhook.
type metrics struct {
	weight                         *prometheus.GaugeVec
	both, primary, backup, limited prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	routes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "twinreel_routes_total", Help: "Events by the tiers that take them live; the other takes them later.",
	}, []string{"route"})
	m := &metrics{
		weight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "twinreel_tier_weight", Help: "Share of new events that the tier takes live, 0 to 1.",
		}, []string{"tier"}),
		both: routes.WithLabelValues(string(queue.Both)), primary: routes.WithLabelValues(string(queue.Primary)), backup: routes.WithLabelValues(string(queue.Backup)),
		limited: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "twinreel_primary_over_limit_total", Help: "Events that went to backup alone because primary's request limit was reached.",
		}),
	}
	r.MustRegister(m.weight, routes, m.limited)
	m.weigh(weights{1, 1})
	return m
}

func (m *metrics) weigh(w weights) {
	m.weight.WithLabelValues(tier.Primary.String()).Set(w.primary)
	m.weight.WithLabelValues(tier.Backup.String()).Set(w.backup)
}
