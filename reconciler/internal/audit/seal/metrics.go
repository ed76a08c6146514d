package seal

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twinreel/twinreel/pkg/tier"
)

// Metrics tell how the sealing goes. Only while a Sealer runs, by the leader, there is something to collect, but for what is
// counted. The zero value tells nobody. It is safe for concurrent use.
type Metrics struct {
	sealed, store, waits, bad *prometheus.Desc
	lost, epochs              prometheus.Counter

	mu      sync.Mutex
	running bool
	sizes   map[tier.Tier]int64
	brokens map[tier.Tier]bool
	oldest  time.Time
}

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("twinreel_audit_"+name, help, labels, nil)
	}
	m := &Metrics{
		sealed: desc("sealed_size", "Leaves of the audit log that are sealed in both stores."),
		store:  desc("store_size", "Leaves of the audit log that are sealed in a tier's store.", "tier"),
		waits:  desc("unsealed_seconds", "Age of the oldest audit message that no store has sealed, 0 if there is none."),
		bad:    desc("store_broken", "1 while a tier's copy of the audit log is not what it was: run reconciler audit verify.", "tier"),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "twinreel_audit_gaps_total", Help: "Audit messages that were lost in the stream before they were sealed.",
		}),
		epochs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "twinreel_audit_epochs_total", Help: "Times that the AUDIT stream was found to have been made anew.",
		}),
	}
	r.MustRegister(m, m.lost, m.epochs)
	return m
}

func (m *Metrics) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running, m.sizes, m.brokens, m.oldest = true, map[tier.Tier]int64{}, map[tier.Tier]bool{}, time.Time{}
}

func (m *Metrics) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = false
}

func (m *Metrics) reached(t tier.Tier, size int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running {
		m.sizes[t] = size
	}
}

func (m *Metrics) broken(t tier.Tier, is bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running {
		m.brokens[t] = is
	}
}

// unsealed notes when the oldest message was stored that waits, zero if none does.
func (m *Metrics) unsealed(since time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.oldest = since
}

func (m *Metrics) gaps(n uint64) {
	if m.lost != nil {
		m.lost.Add(float64(n))
	}
}

func (m *Metrics) epoch() {
	if m.epochs != nil {
		m.epochs.Inc()
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.sealed, m.store, m.waits, m.bad} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.running {
		return
	}
	send := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	least, all := int64(-1), true
	for _, t := range tier.All() {
		size, known := m.sizes[t]
		if !known {
			all = false
			continue
		}
		send(m.store, float64(size), t.String())
		if least < 0 || size < least {
			least = size
		}
	}
	if all {
		send(m.sealed, float64(least))
	}
	for t, is := range m.brokens {
		v := 0.0
		if is {
			v = 1
		}
		send(m.bad, v, t.String())
	}
	waits := 0.0
	if !m.oldest.IsZero() {
		waits = max(time.Since(m.oldest).Seconds(), 0)
	}
	send(m.waits, waits)
}
