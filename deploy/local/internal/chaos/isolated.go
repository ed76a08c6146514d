package chaos

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"
)

// Condition is how the sibling's store is.
type Condition string

// The conditions.
const (
	Well       Condition = "well"
	Dead       Condition = "dead"       // refuses every connection
	Frozen     Condition = "frozen"     // takes requests, and never answers
	Throttling Condition = "throttling" // answers everything with 503 and Retry-After
)

// conditions are all of them; the first is what the others are held against.
func conditions() []Condition { return []Condition{Well, Dead, Frozen, Throttling} }

// bar is what a sick sibling must leave of the healthy side's figures at least.
const bar = 0.95

// figures are one turn's.
type figures struct {
	rate     float64         // saturated: recordings that the healthy tier stores in a second
	cost     time.Duration   // CPU of the healthy worker for each
	idle     float64         // share of the processors' time that nobody used at the fixed load
	waits    []time.Duration // at a fixed load: from the webhook's 200 to the healthy tier's audit event
	webhooks float64         // saturated: webhooks answered in a second
	answers  []time.Duration // of the webhooks, at the fixed load
}

// Isolated is one line of the isolation table: what the healthy side does while its sibling is in a condition.
type Isolated struct {
	Healthy   string // tier
	Sibling   Condition
	Rate      float64       // recordings a second, saturated; the median of the turns
	RateRatio float64       // to that beside a sibling that is well, by the median of the turns' ratios
	Cost      time.Duration // CPU of the healthy worker for each recording
	Idle      float64       // share of the processors' time at the fixed load
	P99       time.Duration
	P99Ratio  float64 // of that beside a well sibling to this: below 1 is slower
	Webhooks  float64 // a second, saturated
	HookRatio float64
	HookP99   time.Duration
	HookP99Is float64
	Turns     int
}

// OK tells whether the healthy side has kept its pace.
func (i Isolated) OK() bool {
	return i.Sibling == Well || (i.RateRatio >= bar && i.P99Ratio >= bar && i.HookRatio >= bar && i.HookP99Is >= bar)
}

// String is the line for people.
func (i Isolated) String() string {
	mark := "ok  "
	if !i.OK() {
		mark = "SHORT"
	}
	return fmt.Sprintf("%s %s healthy, sibling %-10s %6.0f/s (%.2f)  %.1f ms CPU each  p99 %s (%.2f)  webhooks %5.0f/s (%.2f)  p99 %s (%.2f)", mark, i.Healthy, i.Sibling,
		i.Rate, i.RateRatio, i.Cost.Seconds()*1000, millis(i.P99), i.P99Ratio, i.Webhooks, i.HookRatio, millis(i.HookP99), i.HookP99Is)
}

// compare sums the turns of one healthy tier up: turns by round, by condition.
func compare(healthy string, rounds []map[Condition]figures) (lines []Isolated) {
	pooled := map[Condition]figures{}
	for _, c := range conditions() {
		var all figures
		for _, r := range rounds {
			all.waits, all.answers = append(all.waits, r[c].waits...), append(all.answers, r[c].answers...)
		}
		pooled[c] = all
	}
	for _, c := range conditions() {
		lines = append(lines, Isolated{
			Healthy: healthy, Sibling: c, Turns: len(rounds),
			Rate:      over(rounds, func(r map[Condition]figures) float64 { return r[c].rate }),
			RateRatio: over(rounds, func(r map[Condition]figures) float64 { return r[c].rate / r[Well].rate }),
			Cost:      time.Duration(over(rounds, func(r map[Condition]figures) float64 { return float64(r[c].cost) })),
			Idle:      over(rounds, func(r map[Condition]figures) float64 { return r[c].idle }),
			P99:       p99(pooled[c].waits), P99Ratio: over(rounds, func(r map[Condition]figures) float64 { return float64(p99(r[Well].waits)) / float64(p99(r[c].waits)) }),
			Webhooks:  over(rounds, func(r map[Condition]figures) float64 { return r[c].webhooks }),
			HookRatio: over(rounds, func(r map[Condition]figures) float64 { return r[c].webhooks / r[Well].webhooks }),
			HookP99:   p99(pooled[c].answers), HookP99Is: over(rounds, func(r map[Condition]figures) float64 {
				return float64(p99(r[Well].answers)) / float64(p99(r[c].answers))
			}),
		})
	}
	return lines
}

// over is the median of a figure over the rounds.
func over(rounds []map[Condition]figures, figure func(map[Condition]figures) float64) float64 {
	var all []float64
	for _, r := range rounds {
		all = append(all, figure(r))
	}
	slices.Sort(all)
	if len(all) == 0 {
		return 0
	}
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// p99 is the slowest hundredth's beginning; never 0, so that it can be divided by.
func p99(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 1
	}
	sorted := slices.SortedFunc(slices.Values(all), cmp.Compare[time.Duration])
	return max(1, sorted[int(0.99*float64(len(sorted)-1))])
}

func millis(d time.Duration) string { return fmt.Sprintf("%.0f ms", float64(d.Microseconds())/1000) }

// isolation writes the table.
func (r Report) isolation(w io.Writer) {
	fmt.Fprintf(w, "\n## Isolation, measured\n\nOne tier is healthy and its sibling's store is well, dead, frozen or throttling, in turns within one run, %d turns each, each in another\n"+
		"order. In brackets: what is left of the figure beside a well sibling, by the median of the turns' ratios (above 1 is better, also for\ntimes); at least %.2f is wanted. "+
		"A sick sibling frees CPU for whoever is saturated, behind which a loss could hide: so look at the p99 too, at a\nload of %d webhooks a second at which the processors are idle "+
		"for %.0f %% of the time beside a well sibling, and at what a recording costs the\nhealthy worker of CPU. That grows a little by itself, since a sick sibling never is the "+
		"first to agree on a recording's digest.\n\n", r.Isolation[0].Turns, bar, offered, 100*r.Isolation[0].Idle)
	fmt.Fprintf(w, "| healthy | sibling | recordings/s, saturated | CPU of the worker for each | p99 from 200 to stored, %d a second | webhooks/s, saturated | p99 of their answers, %d a second | |\n|---|---|---|---|---|---|---|---|\n", offered, offered)
	for _, i := range r.Isolation {
		mark := "ok"
		if !i.OK() {
			mark = "**short**"
		}
		fmt.Fprintf(w, "| %s | %s | %.0f (%.2f) | %.1f ms | %s (%.2f) | %.0f (%.2f) | %s (%.2f) | %s |\n", i.Healthy, i.Sibling, i.Rate, i.RateRatio, i.Cost.Seconds()*1000, millis(i.P99), i.P99Ratio,
			i.Webhooks, i.HookRatio, millis(i.HookP99), i.HookP99Is, mark)
	}
}
