package capacity

import (
	"math"

	"github.com/twinreel/twinreel/pkg/tier"
)

// The programs of a plan; workers are called worker-<tier>.
const (
	Ingress = "ingress"
	worker  = "worker-"
)

// What bounds a program.
const (
	byLatency = "latency" // its slots wait for answers from far away
	byCPU     = "cpu"     // of one processor
	byLine    = "line"    // windows of its connections
	byStream  = "stream"  // which syncs each message
)

// programs says how many of each program the busiest hour needs.
func programs(l Load, s Setup, peak float64) map[string]Program {
	each, bound := workerRate(l, s.Concurrency)
	out := map[string]Program{Ingress: program(peak, webhooksEach, byStream, 0)}
	for _, t := range tier.All() {
		out[worker+t.String()] = program(peak, each, bound, workerMemory)
	}
	return out
}

// program says how many there must be, so that those of one zone alone do it at the rate that each does among others.
func program(peak, each float64, bound string, memory int64) Program {
	n := max(1, int(math.Ceil(peak/(each*scaling))))
	return Program{Each: each, Bound: bound, PerZone: n, Total: n * zones, Memory: int64(n) * zones * memory}
}

// workerRate is how many recordings a second one worker stores: as many as its slots get through between answers from far
// away, as one processor hashes and sends, and as its connections' windows bring, whichever is least.
func workerRate(l Load, slots int) (perSecond float64, bound string) {
	latency, size := l.Latency.Seconds(), float64(l.Size)
	perSecond, bound = float64(slots)/copySeconds(l), byLatency
	for _, c := range []struct {
		rate float64
		by   string
	}{{1 / (smallCPU + size*byteCPU), byCPU}, {streamsOfOne * window / latency / size, byLine}} {
		if c.rate < perSecond {
			perSecond, bound = c.rate, c.by
		}
	}
	return perSecond, bound
}

// copySeconds is how long one recording takes by itself: it waits for answers, then its bytes come by a window in each.
func copySeconds(l Load) float64 {
	latency := l.Latency.Seconds()
	return trips*latency + float64(l.Size)/(window/latency)
}
