package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/floor"
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
			login := w.NATS.Logins[fleet.Ingress]
			p, err := start(ctx, b.Self, partDoor, floor.Door{
				NATS: w.NATS.TLSURL, CA: w.NATS.CA, User: login.User, Password: login.Password, Subject: queue.CompletedSubject(queue.Both), Secret: webhookSecret,
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
