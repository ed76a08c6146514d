package objective

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// collector tells what is known while somebody measures.
type collector struct {
	report                       func() (Report, bool)
	ratio, missed, waiting, full *prometheus.Desc
}

// Register registers metrics of what report tells; while it tells nothing, there are none, so that those of several
// instances can be summed.
func Register(r prometheus.Registerer, report func() (Report, bool)) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("twinreel_"+name, help, labels, nil)
	}
	r.MustRegister(&collector{
		report: report,
		ratio: desc("redundancy_objective_ratio", "Share of recordings with two verified copies within 15 minutes of their acknowledgement, "+
			"of the latest UTC hour and day in which any was judged.", "window"),
		missed:  desc("redundancy_missed", "Recordings of that hour and day that had not.", "window"),
		waiting: desc("redundancy_waiting", "Recordings acknowledged less than 15 minutes ago: not judged yet."),
		full:    desc("stream_days_to_full", "Days until a stream is full at the rate of the last day; +Inf: never.", "stream"),
	})
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.ratio, c.missed, c.waiting, c.full} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	r, ok := c.report()
	if !ok {
		return
	}
	send := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if r.Whole { // else the newest is not read yet
		for window, spans := range map[string][]Span{"hour": r.Hours, "day": r.Days} {
			if len(spans) > 0 {
				send(c.ratio, spans[0].Share, window)
				send(c.missed, float64(spans[0].Missed), window)
			}
		}
		send(c.waiting, float64(r.Waiting))
	}
	for _, s := range r.Streams {
		days := math.Inf(1)
		if s.DaysToFull != nil {
			days = *s.DaysToFull
		}
		send(c.full, days, s.Stream)
	}
}

// All is how far back a daemon's Follower begins: as far as anything is told.
const All time.Duration = keepDays
