package worker

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/transfer"
)

// Outcomes of a delivery that are not a copy's.
const (
	outcomeRetry  = "retry"       // handed back for a failure
	outcomeDead   = "dead"        // given up: a dead letter
	outcomeParked = "parked"      // handed back because the tier is
	outcomeAwaits = "awaits_copy" // a peer's recording that waits for a redrive
)

// metrics are what a worker counts.
type metrics struct {
	tier       string
	deliveries *prometheus.CounterVec
	dead       *prometheus.CounterVec
	bytes      prometheus.Counter
	duration   prometheus.Observer
	inflight   prometheus.Gauge
	first      prometheus.Histogram
	redundancy prometheus.Histogram
	refusing   prometheus.Gauge
}

// redundancyBuckets span from a small recording on an idle system to a tier that was away for days, in seconds.
var redundancyBuckets = []float64{0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 24 * 3600, 72 * 3600}

func newMetrics(reg prometheus.Registerer, t tier.Tier, buffers *transfer.Buffers) *metrics {
	label := prometheus.Labels{"tier": t.String()}
	m := &metrics{
		tier: t.String(),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "twinreel_deliveries_total",
			Help: "Deliveries by how they ended.", ConstLabels: label,
		}, []string{"outcome"}),
		dead: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "twinreel_dead_letters_total",
			Help: "Events given up, by reason.", ConstLabels: label,
		}, []string{"reason"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "twinreel_transfer_bytes_total",
			Help: "Media bytes read from sources.", ConstLabels: label,
		}),
		inflight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "twinreel_inflight_recordings",
			Help: "Recordings being worked on.", ConstLabels: label,
		}),
		first: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "twinreel_first_copy_seconds",
			Help: "From acceptance to the first verified copy.", Buckets: redundancyBuckets,
		}),
		redundancy: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "twinreel_redundancy_seconds",
			Help: "From acceptance to the second verified copy.", Buckets: redundancyBuckets,
		}),
		refusing: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "twinreel_audit_refusing",
			Help: "1 while the AUDIT stream takes no events and this worker therefore pulls none.", ConstLabels: label,
		}),
	}
	duration := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "twinreel_transfer_duration_seconds",
		Help: "Time that a stored recording took, from delivery to proof.", ConstLabels: label, Buckets: prometheus.ExponentialBuckets(0.01, 2.5, 14),
	})
	m.duration = duration
	used := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "twinreel_buffer_bytes",
		Help: "Memory on loan for media.", ConstLabels: label,
	}, func() float64 { return float64(buffers.Used()) })
	reg.MustRegister(m.deliveries, m.dead, m.bytes, duration, m.inflight, m.first, m.redundancy, m.refusing, used)
	for _, o := range []string{
		string(transfer.Stored), string(transfer.AlreadyPresent), string(transfer.AcceptedUnverified),
		string(transfer.Duplicate), string(transfer.Forgotten), outcomeRetry, outcomeDead, outcomeParked, outcomeAwaits, linkExpired,
	} {
		m.deliveries.WithLabelValues(o)
	}
	for _, r := range queue.Reasons() {
		m.dead.WithLabelValues(string(r))
	}
	return m
}

// watch shows how the tier's store stands, by its keeper, and what the gate lets through.
func watch(reg prometheus.Registerer, k *keeper, open func() queue.Allowance) {
	gauge := func(name, help string, value func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: prometheus.Labels{"tier": k.tier.String()}}, value))
	}
	is := func(s tier.State) func() float64 {
		return func() float64 { return truth(k.health.View(k.now()).State == s) }
	}
	gauge("twinreel_breaker_state", "The store's breaker: 0 closed, 1 half-open, 2 open.", func() float64 { return float64(k.breaker.State()) })
	gauge("twinreel_tier_degraded", "1 while this worker takes one recording at a time, since its store failed several times in a row.", is(tier.Degraded))
	gauge("twinreel_tier_parked", "1 while this worker takes nothing, since its store denies it.", is(tier.Parked))
	gauge("twinreel_backfill_open", "1 while this worker takes what was routed to the sibling.", func() float64 { return truth(open().Backfill > 0) })
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// copied counts a delivery that ended well.
func (m *metrics) copied(res transfer.Result, t tier.Tier, took time.Duration) {
	m.deliveries.WithLabelValues(string(res.Outcome)).Inc()
	if res.Outcome != transfer.Stored {
		return
	}
	m.duration.Observe(took.Seconds())
	if res.Record != nil {
		m.redundant(res.Record, t)
	}
}

// redundant observes how long the recording took to its first or second copy, by the worker that made it.
func (m *metrics) redundant(r *ledger.Record, t tier.Tier) {
	own, other := r.Side(t), r.Side(t.Sibling())
	if own == nil || r.ReceivedAt.IsZero() {
		return
	}
	took := max(0, own.Timestamp.Sub(r.ReceivedAt).Seconds()) // ingress has another clock
	if other == nil {
		m.first.Observe(took)
		return
	}
	m.redundancy.Observe(took)
}
