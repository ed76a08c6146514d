package tier

import (
	"fmt"
	"slices"
	"time"
)

// How latency becomes weight. The floors keep a store that is quick, and therefore by chance ten times slower for a
// moment, from being called slow.
const (
	half = 0.5

	normOf   = 60 // latencies whose median is the norm: ten minutes' at the usual interval
	normFrom = 5  // fewer are no norm
	nowOf    = 3  // latencies whose median is how it is now
	sparsely = 4  // while it is slow each fourth counts towards the norm: what lasts for long becomes it

	slowTimes, slowFloor   = 3, 250 * time.Millisecond
	crawlTimes, crawlFloor = 10, 2 * time.Second
)

// pace holds the latency of probe writes against their own recent median. From three times the median (and 250 ms above
// it) the weight is a half, from ten times (and 2 s above) it is 0; each is left again below half of what it was entered
// at, so that a store at the edge does not go to and fro.
type pace struct {
	norm  []time.Duration // ring
	next  int
	last  []time.Duration // the newest last
	level level
	slow  int // latencies since it became slow
}

type level int

const (
	quick level = iota
	slow
	crawling
)

// took notes how long a probe write took.
func (p *pace) took(d time.Duration) {
	p.last = append(p.last, d)
	if len(p.last) > nowOf {
		p.last = p.last[1:]
	}
	p.judge()
	if p.level == quick {
		p.slow = 0
	} else if p.slow++; p.slow%sparsely != 0 {
		return
	}
	if len(p.norm) < normOf {
		p.norm = append(p.norm, d)
		return
	}
	p.norm[p.next] = d
	p.next = (p.next + 1) % normOf
}

func (p *pace) judge() {
	if len(p.norm) < normFrom {
		return
	}
	now, norm := median(p.last), median(p.norm)
	from := [...]time.Duration{slow: max(slowTimes*norm, norm+slowFloor), crawling: max(crawlTimes*norm, norm+crawlFloor)}
	for p.level < crawling && now >= from[p.level+1] {
		p.level++
	}
	for p.level > quick && now < from[p.level]/2 {
		p.level--
	}
}

// weight returns what follows, and why it is not 1.
func (p *pace) weight() (float64, string) {
	switch p.level {
	case slow:
		return half, p.text("slow")
	case crawling:
		return 0, p.text("very slow")
	}
	return 1, ""
}

func (p *pace) text(how string) string {
	return fmt.Sprintf("%s: probe writes take %s, usually %s", how, rough(median(p.last)), rough(median(p.norm)))
}

func (p *pace) latest() time.Duration {
	if len(p.last) == 0 {
		return 0
	}
	return p.last[len(p.last)-1]
}

// rough rounds to ten milliseconds, so that a text does not change with each probe.
func rough(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }

func median(list []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}
