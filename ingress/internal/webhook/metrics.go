package webhook

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twinreel/twinreel/ingress/internal/config"
)

// noSource is the label of requests to a source that does not exist: what strangers ask for must not become labels.
const noSource = "(unknown)"

// metrics are ingress's numbers, by source.
type metrics struct {
	webhooks *prometheus.CounterVec
	duration *prometheus.HistogramVec
	last     *prometheus.GaugeVec
}

// newMetrics registers the metrics, and says once and for all which sources do not sign.
func newMetrics(r prometheus.Registerer, sources map[string]config.Source) *metrics {
	m := &metrics{
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "twinreel_webhooks_total", Help: "Webhooks answered, by source and code.",
		}, []string{"source", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "twinreel_webhook_duration_seconds", Help: "From the request's header to the answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"source"}),
		last: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "twinreel_last_webhook_timestamp_seconds", Help: "When the last webhook with a valid signature came, 0 for never.",
		}, []string{"source"}),
	}
	unsigned := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "twinreel_unsigned", Help: "1 for a source whose webhooks are taken without a signature.",
	}, []string{"source"})
	r.MustRegister(m.webhooks, m.duration, m.last, unsigned)
	for name, s := range sources {
		m.last.WithLabelValues(name)
		unsigned.WithLabelValues(name)
		if s.Scheme == config.None {
			unsigned.WithLabelValues(name).Set(1)
		}
	}
	return m
}

// answered counts one webhook.
func (m *metrics) answered(source string, c Code, took time.Duration) {
	m.webhooks.WithLabelValues(source, string(c)).Inc()
	m.duration.WithLabelValues(source).Observe(took.Seconds())
}

// signed notes a webhook whose signature is valid.
func (m *metrics) signed(source string, now time.Time) {
	m.last.WithLabelValues(source).Set(float64(now.UnixMilli()) / 1000)
}
