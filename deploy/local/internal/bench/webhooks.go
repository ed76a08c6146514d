package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/floor"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
	"github.com/twinreel/twinreel/pkg/queue"
)

// webhookRows measure the front door.
func webhookRows() []Row {
	var rows []Row
	for _, inFlight := range []int{1, 64, 256} {
		row := Row{
			Name: fmt.Sprintf("webhooks-%d", inFlight), What: fmt.Sprintf("webhooks, %d in flight, each answered when its event is stored and synced", inFlight),
			Sides: againstFloor(), play: webhooks(inFlight, map[int]int{1: 5000, 64: 20000, 256: 20000}[inFlight]),
		}
		if inFlight > 1 {
			row.Bars = []Bar{{Figure: "ratio", AtLeast: 0.85}, {Figure: "p99 ratio", AtMost: 1.5}}
		}
		rows = append(rows, row)
	}
	const low = "the workers, and what stands for the clouds, at nice 10"
	return append(rows,
		Row{
			Name: "webhooks-busy-64", What: "webhooks, 64 in flight, while both workers are saturated, against idle ones; " + low,
			Sides: [2]string{"idle", "saturated"}, needs: needs{sinks: true}, play: busy(64, 0, 12000),
			Bars: []Bar{{Figure: "p99 ratio", AtMost: 2}},
		},
		Row{
			Name: "webhooks-busy-calm", What: "the same with 300 webhooks a second and at most 16 in flight",
			Sides: [2]string{"idle", "saturated"}, needs: needs{sinks: true}, play: busy(16, time.Second/300, 1500),
		})
}

// webhooks plays n webhooks against the floor's server or the real ingress.
func webhooks(inFlight, n int) func(context.Context, *bed, int) (Side, error) {
	return func(ctx context.Context, b *bed, side int) (s Side, err error) {
		w, err := b.stack.NewWorld(ctx)
		if err != nil {
			return Side{}, err
		}
		b.turns++
		f, err := b.fleet(w)
		if err != nil {
			return Side{}, err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		if err := f.Provision(ctx); err != nil {
			return Side{}, err
		}
		var url string
		var pid int
		if side == 0 {
			p, err := start(ctx, b.Self, partDoor, floor.Door{
				NATS: w.NATS.URL, User: w.NATS.User, Password: w.NATS.Password, Subject: queue.CompletedSubject(queue.Both), Secret: webhookSecret,
			})
			if err != nil {
				return Side{}, err
			}
			defer func() { err = errors.Join(err, p.close()) }()
			url, pid = p.URL, p.pid()
		} else {
			p, err := ingress(ctx, f)
			if err != nil {
				return Side{}, err
			}
			url, pid = p.URL(), p.PID()
		}
		l := sender{url: url + webhookPath, prefix: fmt.Sprintf("t%d", b.turns), inFlight: inFlight}
		if _, err := l.send(ctx, inFlight*4); err != nil { // connections are made, and everything is loaded
			return Side{}, err
		}
		m, err := b.measure(ctx, map[string][]int{"ingress": {pid}})
		if err != nil {
			return Side{}, err
		}
		took, err := l.send(ctx, max(inFlight, int(float64(n)*b.Scale)))
		if err != nil {
			return Side{}, err
		}
		if s, err = m.end(ctx, load{n: len(took)}); err != nil {
			return Side{}, err
		}
		s.PeakMiB["ingress"] = peakMiB(pid)
		s.Millis = percentiles(took)
		return s, nil
	}
}

// webhookPath is where webhooks are sent to.
const webhookPath = "/api/v1/webhooks/recording-complete"

func ingress(ctx context.Context, f *fleet.Fleet) (*fleet.Program, error) {
	p, err := f.Start(fleet.Ingress, nil)
	if err != nil {
		return nil, err
	}
	return p, p.Ready(ctx)
}

// sender sends webhooks, so many at a time, over connections that it keeps.
type sender struct {
	url, prefix string
	inFlight    int
	every       time.Duration // from one's start to the next's; 0: as soon as there is room
	client      *http.Client
	sent        atomic.Int64
}

// send sends n webhooks of as many recordings and returns how long each took. Any answer but 200 is an error.
func (l *sender) send(ctx context.Context, n int) (took []time.Duration, err error) {
	if l.client == nil {
		l.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: l.inFlight, MaxConnsPerHost: l.inFlight}}
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var mu sync.Mutex
	var all sync.WaitGroup
	turn := make(chan struct{})
	for range l.inFlight {
		all.Go(func() {
			for range turn {
				started := time.Now()
				if err := l.one(ctx); err != nil {
					fail(err)
					continue
				}
				mu.Lock()
				took = append(took, time.Since(started))
				mu.Unlock()
			}
		})
	}
	next := time.Now()
	for i := 0; i < n && ctx.Err() == nil; i++ {
		if l.every > 0 {
			time.Sleep(time.Until(next))
			next = next.Add(l.every)
		}
		turn <- struct{}{}
	}
	close(turn)
	all.Wait()
	return took, context.Cause(ctx)
}

func (l *sender) one(ctx context.Context) error {
	id := fmt.Sprintf("%s-%d", l.prefix, l.sent.Add(1))
	body, err := json.Marshal(map[string]any{
		"event": "RECORDING_COMPLETED", "eventId": id, "recordingId": id, "mediaFormat": "mp4", "duration": 183.4,
		"participants": []map[string]string{{"id": "agent-17", "role": "agent", "name": "A. Example"}, {"id": "caller-4", "role": "customer"}},
		"mediaUrl":     "https://media.example.com/recordings/" + id + ".mp4?signature=8c6976e5b5410415bde908bd4dee15dfb167a9c873fc4bb8a81f6f2ab448a918",
		"size":         20971520, "tags": map[string]string{"queue": "billing", "site": "north"}, "completedAt": "2026-11-23T10:00:00Z",
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Hub-Signature-256", floor.Sign(webhookSecret, body))
	resp, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("a webhook was answered %s: %.200s", resp.Status, answer)
	}
	return err
}

// percentiles are the middle and the slowest hundredth, in milliseconds.
func percentiles(took []time.Duration) map[string]float64 {
	slices.Sort(took)
	at := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000 }
	return map[string]float64{"p50": at(0.50), "p99": at(0.99)}
}

// Of the busy rows.
const (
	busyLoad    = 12_000                 // recordings of 1 MiB that wait for the workers, more than they can do meanwhile
	lowPriority = 10                     // nice
	saturated   = 500 * time.Millisecond // for which the workers have run before the first webhook
)

// busy plays n webhooks while the workers have nothing to do, or more than they can.
func busy(inFlight int, every time.Duration, n int) func(context.Context, *bed, int) (Side, error) {
	return func(ctx context.Context, b *bed, side int) (Side, error) {
		return b.busy(ctx, side, inFlight, every, n)
	}
}

func (b *bed) busy(ctx context.Context, side, inFlight int, every time.Duration, n int) (s Side, err error) {
	w, err := b.stack.NewWorld(ctx)
	if err != nil {
		return Side{}, err
	}
	b.turns++
	f, err := b.fleet(w)
	if err != nil {
		return Side{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	workers, err := b.workers(ctx, f, 1)
	if err != nil {
		return Side{}, err
	}
	door, err := ingress(ctx, f)
	if err != nil {
		return Side{}, err
	}
	for _, pid := range []int{workers[0].PID(), workers[1].PID(), b.feed.pid(), b.s3.pid(), b.azure.pid()} {
		if err := unix.Setpriority(unix.PRIO_PROCESS, pid, lowPriority); err != nil {
			return Side{}, err
		}
	}
	if side == 1 {
		if err := b.saturate(ctx, w, workers); err != nil {
			return Side{}, err
		}
	}
	l := sender{url: door.URL() + webhookPath, prefix: fmt.Sprintf("t%d", b.turns), inFlight: inFlight, every: every}
	if _, err := l.send(ctx, inFlight*4); err != nil {
		return Side{}, err
	}
	m, err := b.measure(ctx, map[string][]int{"ingress": {door.PID()}})
	if err != nil {
		return Side{}, err
	}
	took, err := l.send(ctx, max(inFlight, int(float64(n)*b.Scale)))
	if err != nil {
		return Side{}, err
	}
	if s, err = m.end(ctx, load{n: len(took)}); err != nil {
		return Side{}, err
	}
	s.Requests, s.Millis = nil, percentiles(took)
	return s, errors.Join(each(workers, (*fleet.Program).Freeze), each(workers, (*fleet.Program).Kill))
}

// saturate gives the workers more than they can do while webhooks are sent.
func (b *bed) saturate(ctx context.Context, w stack.World, workers []*fleet.Program) error {
	q, err := connect(w)
	if err != nil {
		return err
	}
	defer q.nc.Close()
	l := load{mib, int(busyLoad * min(1, b.Scale))}
	if err := errors.Join(each(workers, (*fleet.Program).Freeze), q.publish(ctx, b.links(l), l.size, fmt.Sprint("t", b.turns)), each(workers, (*fleet.Program).Thaw)); err != nil {
		return err
	}
	select {
	case <-time.After(saturated):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
