package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// Times of a turn.
const (
	looking  = 5 * time.Millisecond   // between looks whether the workers are done, once there is little left
	rarely   = 100 * time.Millisecond // before, since each look costs the server something
	patience = 20 * time.Minute       // for one turn
)

// publishers is how many events are published at once.
const publishers = 64

// product plays the load with so many workers a tier. The events wait in the stream, and the workers, frozen, before it:
// the turn begins when they are thawed, and ends when the last acknowledgement is there.
func (b *bed) product(ctx context.Context, w stack.World, l load, workers int) (side Side, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	f, err := b.fleet(w)
	if err != nil {
		return Side{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	programs, err := b.workers(ctx, f, workers)
	if err != nil {
		return Side{}, err
	}
	q, err := connect(w)
	if err != nil {
		return Side{}, err
	}
	defer q.nc.Close()
	if err := each(programs, (*fleet.Program).Freeze); err != nil {
		return Side{}, err
	}
	err = q.publish(ctx, b.links(l), l.size, fmt.Sprint("t", b.turns))
	m, failed := b.measure(ctx, pids(programs))
	if err := errors.Join(err, failed, each(programs, (*fleet.Program).Thaw)); err != nil {
		return Side{}, err
	}
	if err := q.drained(ctx, uint64(l.n)); err != nil {
		return Side{}, fmt.Errorf("%w; the last lines of %s:\n%s", err, programs[0].Name, programs[0].Tail())
	}
	if side, err = m.end(ctx, l); err != nil {
		return Side{}, err
	}
	for _, p := range programs {
		name := tierOf(p)
		side.PeakMiB[name] = max(side.PeakMiB[name], float64(p.PeakRSS())/(1<<20))
	}
	return side, b.stored(l, side)
}

// fleet makes the fleet of one turn, its streams provisioned.
func (b *bed) fleet(w stack.World) (*fleet.Fleet, error) {
	dir, err := os.MkdirTemp(b.stack.Dir, "turn-")
	if err != nil {
		return nil, err
	}
	return fleet.New(fleet.Config{Bin: b.Bin, Dir: dir, World: w, WebhookSecret: webhookSecret, Env: b.environ()})
}

// webhookSecret signs the benchmark's webhooks.
const webhookSecret = "a secret of the benchmark"

// workers provisions the streams and starts n workers a tier.
func (b *bed) workers(ctx context.Context, f *fleet.Fleet, n int) (all []*fleet.Program, err error) {
	if err := f.Provision(ctx); err != nil {
		return nil, err
	}
	for range n {
		for _, name := range []string{fleet.WorkerPrimary, fleet.WorkerBackup} {
			p, err := f.Start(name, nil)
			if err != nil {
				return nil, err
			}
			all = append(all, p)
		}
	}
	return all, each(all, func(p *fleet.Program) error { return p.Ready(ctx) })
}

func each(programs []*fleet.Program, do func(*fleet.Program) error) error {
	var errs []error
	for _, p := range programs {
		errs = append(errs, do(p))
	}
	return errors.Join(errs...)
}

func tierOf(p *fleet.Program) string {
	if strings.HasPrefix(p.Name, fleet.WorkerBackup) {
		return "backup"
	}
	return "primary"
}

func pids(programs []*fleet.Program) map[string][]int {
	out := map[string][]int{}
	for _, p := range programs {
		out[tierOf(p)] = append(out[tierOf(p)], p.PID())
	}
	return out
}

// streams is the benchmark's own view of the queue.
type streams struct {
	nc *nats.Conn
	js jetstream.JetStream
}

func connect(w stack.World) (*streams, error) {
	nc, err := nats.Connect(w.NATS.URL, nats.UserInfo(w.NATS.User, w.NATS.Password), nats.Name(own))
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &streams{nc, js}, nil
}

// publish puts one event for each link into the stream.
func (q *streams) publish(ctx context.Context, links []string, size int64, prefix string) error {
	p := queue.NewPublisher(q.nc, q.js)
	next := make(chan int)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var all sync.WaitGroup
	for range publishers {
		all.Go(func() {
			for i := range next {
				if _, err := p.Completed(ctx, queue.Both, recording(fmt.Sprintf("%s-%d", prefix, i), links[i], size), ""); err != nil {
					fail(err)
				}
			}
		})
	}
	for i := range links {
		next <- i
	}
	close(next)
	all.Wait()
	return context.Cause(ctx)
}

// recording is the event of a recording behind that link.
func recording(id, link string, size int64) event.Event {
	now := time.Now().UTC()
	return event.New(event.Data{
		RecordingID: id, Source: event.DefaultSource, Media: event.Media{URL: link, Format: "wav", Size: &size}, DurationSeconds: 183.4,
		Participants: []event.Participant{{"id": "agent-17", "role": "agent", "name": "A. Example"}, {"id": "caller-4", "role": "customer"}},
		Tags:         map[string]string{"queue": "billing", "site": "north"}, CompletedAt: &now, ReceivedAt: now,
	}, id, now)
}

// drained waits until both tiers have acknowledged n events.
func (q *streams) drained(ctx context.Context, n uint64) error {
	for _, t := range tier.All() {
		c, err := q.js.Consumer(ctx, queue.Recordings, queue.ConsumerName(t, queue.Live))
		if err != nil {
			return err
		}
		for {
			info, err := c.Info(ctx)
			if err != nil {
				return fmt.Errorf("wait for %s: %w", t, err)
			}
			if info.AckFloor.Stream >= n && info.NumAckPending == 0 {
				break
			}
			pause := rarely
			if info.NumPending == 0 {
				pause = looking
			}
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return fmt.Errorf("%s has %d of %d done: %w", t, info.AckFloor.Stream, n, ctx.Err())
			}
		}
	}
	return nil
}
