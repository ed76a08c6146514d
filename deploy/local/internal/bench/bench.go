// Package bench measures Twinreel against a floor: the leanest program that does the same unavoidable work, run beside it
// on the same servers in the same minute. Times differ from machine to machine and from hour to hour; the ratio of two
// neighbouring runs does not, or not by much. So each row is played in turns, floor and product, and tells the median of
// the pairs' ratios.
package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/twinreel/twinreel/deploy/local/internal/stack"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
)

// Row is one thing that is measured, by two sides in turns.
type Row struct {
	Name  string
	What  string
	Sides [2]string // what the two are called: floor and product, unless the row compares the product with itself
	Bars  []Bar
	Long  bool // takes minutes; left out unless it is asked for by its name
	// needs says what the row runs on besides NATS and Redis, and prepare makes it ready; both sides are then played.
	needs   needs
	prepare func(ctx context.Context, b *bed) error
	play    func(ctx context.Context, b *bed, side int) (Side, error)
	peer    func(ctx context.Context, b *bed) (Side, error) // plays the same by rclone, where it can
}

// needs are a row's surroundings.
type needs struct {
	sinks bool // instead of the real stores
	far   *distance
}

// Bar is what a row must reach: a figure of its result by name, at least or at most.
type Bar struct {
	Figure  string
	AtLeast float64 `json:",omitempty"`
	AtMost  float64 `json:",omitempty"`
}

// Side is what one turn of one side gave. Figures that it does not have are absent.
type Side struct {
	Seconds  float64
	Done     float64            // how many recordings or webhooks
	Bytes    float64            `json:",omitempty"`
	CPU      map[string]float64 `json:",omitempty"` // seconds by process: primary, backup, ingress
	PeakMiB  map[string]float64 `json:",omitempty"` // memory, likewise
	Requests map[string]float64 `json:",omitempty"` // for each recording, by who got them
	Busy     map[string]float64 `json:",omitempty"` // cores in use, by process, servers included
	Millis   map[string]float64 `json:",omitempty"` // latencies
}

// Rate is how many were done in a second.
func (s Side) Rate() float64 { return s.Done / s.Seconds }

// CPUSum is the CPU seconds of the programs under measurement together.
func (s Side) CPUSum() (sum float64) {
	for _, v := range s.CPU {
		sum += v
	}
	return sum
}

// Config is how the benchmark runs.
type Config struct {
	Self   string // this program, which runs the parts
	Bin    string // the folder of Twinreel's programs
	Set    tools.Set
	Rounds int
	Scale  float64   // of how many recordings each turn moves; 1 for figures that mean something
	Say    io.Writer // progress
}

// Run plays the rows one after the other and tells each result as it comes.
func Run(ctx context.Context, c Config, rows []Row, tell func(Result)) error {
	for _, row := range rows {
		result, err := c.run(ctx, row)
		if err != nil {
			return fmt.Errorf("%s: %w", row.Name, err)
		}
		tell(result)
	}
	return nil
}

// run plays one row on servers of its own, so that what one row leaves behind does not slow the next.
func (c Config) run(ctx context.Context, row Row) (result Result, err error) {
	s, err := stack.Start(ctx, c.Set)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	b := &bed{Config: c, stack: s, needs: row.needs}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.open(ctx); err != nil {
		return Result{}, err
	}
	if row.prepare != nil {
		if err := row.prepare(ctx, b); err != nil {
			return Result{}, err
		}
	}
	result = Result{Row: row.Name, What: row.What, Sides: row.Sides}
	for round := range c.Rounds {
		var pair [2]Side
		for side := range pair {
			fmt.Fprintf(c.Say, "%s: round %d of %d, %s …\n", row.Name, round+1, c.Rounds, row.Sides[side])
			if pair[side], err = row.play(ctx, b, side); err != nil {
				return Result{}, fmt.Errorf("%s: %w", row.Sides[side], err)
			}
			fmt.Fprintf(c.Say, "%s: %.4g/s\n", row.Name, pair[side].Rate())
		}
		result.Pairs = append(result.Pairs, pair)
		if row.peer != nil && hasPeer() {
			fmt.Fprintf(c.Say, "%s: round %d of %d, %s …\n", row.Name, round+1, c.Rounds, peer)
			other, err := row.peer(ctx, b)
			if err != nil {
				return Result{}, fmt.Errorf("%s: %w", peer, err)
			}
			fmt.Fprintf(c.Say, "%s: %.4g/s\n", row.Name, other.Rate())
			result.Peer = append(result.Peer, other)
		}
	}
	result.judge(row.Bars)
	return result, nil
}

// median returns the middle of the values, 0 of none.
func median[T cmp.Ordered](values []T) (m T) {
	if len(values) == 0 {
		return m
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}
