package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/feed"
	"github.com/twinreel/twinreel/deploy/local/internal/floor"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
)

// load is what a turn moves: n recordings of size bytes each, by both tiers.
type load struct {
	size int64
	n    int
}

// scaled is the load of a shorter run.
func (l load) scaled(by float64) load {
	l.n = max(1, int(float64(l.n)*by))
	return l
}

// copies plays a load: side 0 is the floor.
func copies(l load) func(context.Context, *bed, int) (Side, error) {
	return func(ctx context.Context, b *bed, side int) (Side, error) {
		l := l.scaled(b.Scale)
		b.turns++
		w, err := b.stack.NewWorld(ctx)
		if err != nil {
			return Side{}, err
		}
		if side == 0 {
			return b.floor(ctx, w, l)
		}
		return b.product(ctx, w, l, 1)
	}
}

// links are the load's recordings, other ones each turn.
func (b *bed) links(l load) []string {
	links := make([]string, l.n)
	for i := range links {
		links[i] = b.feedURL + feed.Link(l.size, fmt.Sprintf("t%d-%d", b.turns, i))
	}
	return links
}

// floor plays the load with one floor process a tier.
func (b *bed) floor(ctx context.Context, w stack.World, l load) (side Side, err error) {
	primary := floor.Job{
		Tier: "primary", Links: b.links(l), Size: l.size, Prefix: fmt.Sprintf("recordings/floor-%d-", b.turns),
		Objects: w.S3.Endpoint + "/" + w.S3.Bucket, Region: w.S3.Region, AccessKey: w.S3.Writer.Access, SecretKey: w.S3.Writer.Secret,
	}
	backup := primary
	backup.Tier, backup.Objects, backup.SAS = "backup", w.Azure.ServiceURL+"/"+w.Azure.Container, w.Azure.WriterSAS
	if b.needs.sinks {
		primary.Objects, backup.Objects = b.s3URL+"/bucket", b.azureURL+"/account/container"
	}
	pids, parts := map[string][]int{}, map[string]*part{}
	defer func() {
		for _, p := range parts {
			err = errors.Join(err, p.close())
		}
	}()
	for _, job := range []floor.Job{primary, backup} {
		p, err := start(ctx, b.Self, partFloor, job)
		if err != nil {
			return Side{}, err
		}
		parts[job.Tier], pids[job.Tier] = p, []int{p.pid()}
	}
	m, err := b.measure(ctx, pids)
	if err != nil {
		return Side{}, err
	}
	for _, p := range parts {
		if err := p.say("go"); err != nil {
			return Side{}, err
		}
	}
	for tier, p := range parts {
		if line, err := p.line(); err != nil || line != "done" {
			return Side{}, errors.Join(fmt.Errorf("the %s floor says %q", tier, line), err)
		}
	}
	side, err = m.end(ctx, l)
	if err != nil {
		return Side{}, err
	}
	for tier, p := range parts {
		side.PeakMiB[tier] = peakMiB(p.pid())
	}
	return side, b.stored(l, side)
}

// stored checks, where the sinks can tell, that a turn created what it was to create.
func (b *bed) stored(l load, s Side) error {
	if got := s.Requests["media"] * s.Done; b.needs.sinks && int(got+0.5) != 2*l.n {
		return fmt.Errorf("%.0f objects were created, want %d", got, 2*l.n)
	}
	return nil
}

// measured is a turn under way.
type measured struct {
	bed      *bed
	started  time.Time
	programs *gauge
	servers  *gauge
	before   map[string]int64
}

// measure begins a turn of the programs with these process IDs.
func (b *bed) measure(ctx context.Context, programs map[string][]int) (m *measured, err error) {
	m = &measured{bed: b}
	if m.before, err = b.requests(ctx); err != nil {
		return nil, err
	}
	if m.servers, err = newGauge(b.servers()); err != nil {
		return nil, err
	}
	if m.programs, err = newGauge(programs); err != nil {
		return nil, err
	}
	m.started = time.Now()
	return m, nil
}

// end reads all figures of the turn.
func (m *measured) end(ctx context.Context, l load) (s Side, err error) {
	s = Side{
		Seconds: time.Since(m.started).Seconds(), Done: float64(l.n), Bytes: float64(l.size) * float64(l.n),
		PeakMiB: map[string]float64{}, Requests: map[string]float64{}, Busy: map[string]float64{},
	}
	if s.CPU, err = m.programs.since(); err != nil {
		return Side{}, err
	}
	servers, err := m.servers.since()
	if err != nil {
		return Side{}, err
	}
	for name, cpu := range s.CPU {
		s.Busy[name] = cpu / s.Seconds
	}
	for name, cpu := range servers {
		s.Busy[name] = cpu / s.Seconds
	}
	after, err := m.bed.requests(ctx)
	for what, n := range after {
		if d := n - m.before[what]; d != 0 {
			s.Requests[what] = float64(d) / s.Done
		}
	}
	return s, err
}
