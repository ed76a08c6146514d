package bench

import (
	"fmt"
	"maps"
	"slices"
)

// Result is what a row gave, with every turn's raw figures.
type Result struct {
	Row, What string
	Sides     [2]string
	Pairs     [][2]Side
	Peer      []Side `json:",omitempty"` // the same by rclone, where it is installed
	// Figures are the row's medians over the pairs. By name: ratio (of rates, second side to first), low and high (the
	// least and the greatest of the ratios), cpu ratio, p99 ratio, peak MiB (the most of any turn of the second side),
	// more MiB (second side over first), peer ratio (of rates, second side to rclone), and requests for each recording by who got them.
	Figures  map[string]float64
	Verdicts []Verdict
	Remark   string // what set the pace
}

// Verdict holds a figure against its bar.
type Verdict struct {
	Bar
	Got float64
	OK  bool
}

// judge computes the figures and holds them against the bars.
func (r *Result) judge(bars []Bar) {
	r.Figures = map[string]float64{}
	r.overPairs("ratio", func(a, b Side) (float64, bool) { return b.Rate() / a.Rate(), true })
	r.overPairs("cpu ratio", func(a, b Side) (float64, bool) { return b.CPUSum() / a.CPUSum(), a.CPUSum() > 0 })
	for _, name := range []string{"p50", "p99"} {
		r.overPairs(name+" ratio", func(a, b Side) (float64, bool) { return b.Millis[name] / a.Millis[name], a.Millis[name] > 0 })
	}
	var ratios []float64
	for _, p := range r.Pairs {
		ratios = append(ratios, p[1].Rate()/p[0].Rate())
		for _, mib := range p[1].PeakMiB {
			r.Figures["peak MiB"] = max(r.Figures["peak MiB"], mib)
		}
	}
	r.overPairs("more MiB", func(a, b Side) (float64, bool) { return peak(b) - peak(a), true })
	if len(ratios) > 0 {
		r.Figures["low"], r.Figures["high"] = slices.Min(ratios), slices.Max(ratios)
	}
	if len(r.Peer) > 0 {
		r.Figures["peer ratio"] = r.middle(1).Rate() / middle(r.Peer).Rate()
		bars = append(bars, Bar{Figure: "peer ratio", AtLeast: 1})
	}
	for _, what := range r.requests() {
		r.overPairs(what, func(_, b Side) (float64, bool) { return b.Requests[what], true })
	}
	for _, bar := range bars {
		got, ok := r.Figures[bar.Figure]
		r.Verdicts = append(r.Verdicts, Verdict{bar, got, ok && got >= bar.AtLeast && (bar.AtMost == 0 || got <= bar.AtMost)})
	}
	r.Remark = r.pace()
}

// overPairs sets a figure to the median over the pairs that have it.
func (r *Result) overPairs(name string, figure func(a, b Side) (float64, bool)) {
	var all []float64
	for _, p := range r.Pairs {
		if v, ok := figure(p[0], p[1]); ok {
			all = append(all, v)
		}
	}
	if len(all) > 0 {
		r.Figures[name] = median(all)
	}
}

// requests are the kinds of requests that the second side made.
func (r *Result) requests() []string {
	all := map[string]bool{}
	for _, p := range r.Pairs {
		for what := range p[1].Requests {
			all[what] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func peak(s Side) (most float64) {
	for _, mib := range s.PeakMiB {
		most = max(most, mib)
	}
	return most
}

// full is from which share of a core on a process with one thread, or of the machine, is taken for what sets the pace.
const full = 0.85

// pace says what was busiest on the second side.
func (r *Result) pace() string {
	busy := map[string][]float64{}
	var cores []float64
	for _, p := range r.Pairs {
		var sum float64
		for name, c := range p[1].Busy {
			busy[name] = append(busy[name], c)
			sum += c
		}
		cores = append(cores, sum)
	}
	if b := median(busy["azurite"]); b >= full {
		return fmt.Sprintf("Azurite sets the pace: its one thread is %.0f %% busy", 100*b)
	}
	most, name := 0.0, ""
	for n, c := range busy {
		if m := median(c); m > most {
			most, name = m, n
		}
	}
	if name == "" {
		return ""
	}
	return fmt.Sprintf("%.1f cores in use, most by %s (%.1f)", median(cores), name, most)
}
