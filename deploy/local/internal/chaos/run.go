package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/twinreel/twinreel/deploy/local/internal/disk"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
)

// Config is how the rows are played.
type Config struct {
	Bin      string // the folder of Twinreel's programs
	Old      string // of an earlier version's, for rows that mix versions; "": the same ones
	Set      tools.Set
	Root     string // of the repository
	Rounds   int    // how often all rows are played
	Parallel int    // how many rows are played at the same time, where they do not disturb each other
	Say      io.Writer
}

// rowPatience bounds one row.
const rowPatience = 12 * time.Minute

// Run plays rows and tells each result as it comes, from one goroutine at a time. Its error is about the runner alone: what
// a row finds wrong, a row that cannot go on included, is in its result.
func Run(ctx context.Context, c Config, rows []Row, tell func(Result)) error {
	var mu sync.Mutex
	told := func(r Result) {
		mu.Lock()
		defer mu.Unlock()
		tell(r)
	}
	for round := range max(1, c.Rounds) {
		if err := c.round(ctx, round+1, rows, told); err != nil {
			return err
		}
	}
	return nil
}

// round plays every row once: those that disturb nobody side by side, and beside them the others in turn.
func (c Config) round(ctx context.Context, n int, rows []Row, tell func(Result)) error {
	shared, turns := &servers{set: c.Set}, &servers{set: c.Set}
	queues := map[place]chan Row{beside: make(chan Row, len(rows)), inTurn: make(chan Row, len(rows))}
	for _, r := range rows {
		to := r.on
		if to == alone {
			to = beside
		}
		queues[to] <- r
	}
	g, ctx := errgroup.WithContext(ctx)
	work := func(from place, on *servers) func() error {
		return func() error {
			for {
				select {
				case r := <-queues[from]:
					tell(c.playRow(ctx, n, r, on))
					if ctx.Err() != nil {
						return context.Cause(ctx)
					}
				default:
					return nil
				}
			}
		}
	}
	for range max(1, c.Parallel) {
		g.Go(work(beside, shared))
	}
	g.Go(work(inTurn, turns))
	return errors.Join(g.Wait(), shared.close(), turns.close())
}

// playRow plays one row and judges it.
func (c Config) playRow(ctx context.Context, round int, row Row, on *servers) (res Result) {
	res = Result{Row: row, Round: round}
	start := time.Now()
	defer func() { res.Took = time.Since(start) }()
	ctx, cancel := context.WithTimeout(ctx, rowPatience)
	defer cancel()
	if row.on == alone {
		on = &servers{set: c.Set}
		defer func() {
			if err := on.close(); err != nil {
				res.Wrong = append(res.Wrong, err.Error())
			}
		}()
	}
	s, w, err := on.world(ctx)
	if err != nil {
		res.Wrong = append(res.Wrong, err.Error())
		return res
	}
	b, err := c.openBed(ctx, s, w, row)
	if err == nil {
		err = b.playAll(ctx, row)
	}
	if b != nil && len(b.wrong) == 0 && err != nil && b.fleet != nil { // what they said last says more than a time-out
		for _, p := range b.fleet.Programs() {
			fmt.Fprintf(c.Say, "%s: last lines of %s:\n%s\n", row.Name, p.Name, p.Tail())
		}
	}
	if errors.Is(err, disk.ErrNeedsRoot) {
		res.Absent, err = err.Error(), nil
	}
	err = errors.Join(err, b.close())
	res.Saw, res.Wrong, res.Loss = b.saw, append(res.Wrong, b.wrong...), b.loss
	if err != nil {
		res.Wrong = append(res.Wrong, err.Error())
	}
	return res
}

func (b *bed) playAll(ctx context.Context, row Row) error {
	if !row.manual {
		if err := b.startAll(ctx); err != nil {
			return err
		}
	}
	if err := row.play(ctx, b); err != nil || row.unproven {
		return err
	}
	return b.prove(ctx)
}

// servers are stacks that rows share, each row in a world of its own. A stack is started when it is needed.
type servers struct {
	set tools.Set

	mu     sync.Mutex
	stacks []*stack.Stack
	used   int // worlds of the last one
}

// worldsEach is how many worlds one stack is used for.
const worldsEach = 35

func (s *servers) world(ctx context.Context) (*stack.Stack, stack.World, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.stacks) == 0 || s.used == worldsEach {
		// Not ctx's end but close ends it, so that programs can still drain.
		st, err := stack.Start(context.WithoutCancel(ctx), s.set)
		if err != nil {
			return nil, stack.World{}, err
		}
		s.stacks, s.used = append(s.stacks, st), 0
	}
	s.used++
	st := s.stacks[len(s.stacks)-1]
	w, err := st.NewWorld(ctx)
	return st, w, err
}

func (s *servers) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, st := range s.stacks {
		errs = append(errs, st.Close())
	}
	return errors.Join(errs...)
}
