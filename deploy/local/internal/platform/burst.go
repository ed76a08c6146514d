package platform

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// BurstOptions says how Burst sends.
type BurstOptions struct {
	InFlight       int     // webhooks at once, 1 unless set
	DuplicateShare float64 // of the recordings are sent twice, the very same body: half of them at once, half a little later
	StartedShare   float64 // of the recordings send RECORDING_STARTED first
	Forged         int     // webhooks with a signature that is wrong, one way or another

	// Each, if set, sees every answer as it comes, from several goroutines; the recording is nil for forgeries and noise.
	Each func(*Recording, Answer)
}

// Report counts what came of a burst. Each webhook counts once, by its last answer, whatever its attempts.
type Report struct {
	Sent          int // webhooks, forgeries and noise included
	Accepted      int
	Duplicate     int
	Ignored       int
	Refused       int // 4xx
	Failed        int // 5xx, or no answer, after all attempts; or another 2xx or 3xx
	ForgedTaken   int // forgeries that were answered 200: anything but 0 is a hole
	ForgedRefused int // of Refused
	Retried       int // attempts after the first

	ByCode   map[string]int // last answers by code, "" for none
	P50, P99 time.Duration  // of the answers, each attempt for itself; 0 without any
}

// job is one webhook of a burst.
type job struct {
	place  float64 // in the order of sending
	rec    *Recording
	hook   func() Hook
	forged bool
}

// Burst sends the webhooks of the recordings, some twice, with noise and forgeries in between, each with the retries of
// Send. Which are sent twice, and where the forgeries go, follows from Config.Seed. It returns early only when ctx ends,
// with what was counted so far and ctx's cause.
func (p *Platform) Burst(ctx context.Context, recs []*Recording, o BurstOptions) (Report, error) {
	o.InFlight = max(1, o.InFlight)
	t := &tally{report: Report{ByCode: map[string]int{}}}
	jobs := make(chan job)
	var senders sync.WaitGroup
	for range o.InFlight {
		senders.Go(func() {
			for j := range jobs {
				p.send(ctx, j, o, t)
			}
		})
	}
	for _, j := range p.plan(recs, o) {
		if ctx.Err() != nil {
			break
		}
		jobs <- j
	}
	close(jobs)
	senders.Wait()
	return t.sum(), context.Cause(ctx)
}

// plan puts the webhooks of a burst in order.
func (p *Platform) plan(recs []*Recording, o BurstOptions) []job {
	p.mu.Lock()
	r := rand.New(rand.NewPCG(p.random.Uint64(), 1))
	p.mu.Unlock()
	var jobs []job
	for i, rec := range recs {
		jobs = append(jobs, job{place: float64(i), rec: rec, hook: func() Hook { return p.Webhook(rec) }})
	}
	for n, i := range some(r, len(recs), o.DuplicateShare) {
		again := jobs[i]
		again.place += 0.1 // while the first is on its way, if two may be
		if n%2 == 1 {
			again.place += float64(2 * o.InFlight)
		}
		jobs = append(jobs, again)
	}
	for _, i := range some(r, len(recs), o.StartedShare) {
		jobs = append(jobs, job{place: float64(i) - 0.5, hook: func() Hook { return p.Started(recs[i]) }})
	}
	for n := range o.Forged {
		if len(recs) == 0 {
			break
		}
		i := r.IntN(len(recs))
		hook := func() Hook { return p.Forged(recs[i], Forgery(n)%ForgeryKinds) }
		jobs = append(jobs, job{place: r.Float64() * float64(len(recs)), hook: hook, forged: true})
	}
	slices.SortStableFunc(jobs, func(a, b job) int { return cmp.Compare(a.place, b.place) })
	return jobs
}

// some chooses the share of n numbers below n.
func some(r *rand.Rand, n int, share float64) []int {
	k := int(math.Round(float64(n) * min(max(share, 0), 1)))
	return r.Perm(n)[:k]
}

func (p *Platform) send(ctx context.Context, j job, o BurstOptions, t *tally) {
	a, err := p.deliver(ctx, j.hook, func(a Answer) {
		t.answered(a.Latency)
		if o.Each != nil {
			o.Each(j.rec, a)
		}
	})
	if err != nil {
		a.Status, a.Code = 0, ""
	}
	t.ended(a, j.forged)
}

// tally adds up a burst.
type tally struct {
	mu        sync.Mutex
	report    Report
	latencies []time.Duration
}

func (t *tally) answered(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latencies = append(t.latencies, d)
}

func (t *tally) ended(a Answer, forged bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &t.report
	r.Sent++
	r.Retried += max(0, a.Attempts-1)
	r.ByCode[a.Code]++
	switch {
	case a.Taken() && a.Code == "accepted":
		r.Accepted++
	case a.Taken() && a.Code == "duplicate":
		r.Duplicate++
	case a.Taken() && a.Code == "ignored":
		r.Ignored++
	case a.Status >= 400 && a.Status < 500:
		r.Refused++
	default:
		r.Failed++
	}
	switch {
	case forged && a.Status == 401:
		r.ForgedRefused++
	case forged && a.Taken():
		r.ForgedTaken++
	}
}

func (t *tally) sum() Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.Sort(t.latencies)
	t.report.P50, t.report.P99 = quantile(t.latencies, 0.50), quantile(t.latencies, 0.99)
	return t.report
}

// quantile returns the smallest of the sorted values that at least the share q of them does not exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}
