package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/config"
)

// natsPatience is how long a command waits for NATS before it says that it is away.
const natsPatience = 4 * time.Second

// connection is a connection to NATS that is up.
type connection struct {
	nc *nats.Conn
	js jetstream.JetStream
}

func (c *connection) close() { c.nc.Close() }

// connectQueue is connect, for commands that talk to NATS alone.
func (a *app) connectQueue(ctx context.Context) (*connection, error) {
	var s config.Queue
	if err := a.load(&s); err != nil {
		return nil, err
	}
	return a.connect(ctx, s.NATS)
}

// provisioner is who `provision` is on NATS: a user of its own may be allowed what no other command needs.
const provisioner = "provisioner"

// connect waits for NATS for a while. A command is over soon, so what a service would log about its connection is in its error.
func (a *app) connect(ctx context.Context, c queue.Config) (*connection, error) {
	return a.connectAs(ctx, program, c)
}

// connectAs is connect for a command that is another program to NATS. What NATS refuses the command ends it: there will be
// no answer to wait for.
func (a *app) connectAs(ctx context.Context, name string, c queue.Config) (*connection, error) {
	nc, js, err := queue.Connect(c, name, name, zap.NewNop(), queue.OnRefusal(func(r *queue.Refusal) {
		a.refusal.CompareAndSwap(nil, r)
		a.stop()
	}))
	if err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeout(ctx, natsPatience)
	defer cancel()
	up := nc.StatusChanged(nats.CONNECTED)
	for !nc.IsConnected() {
		select {
		case <-up:
		case <-wait.Done():
			cause := nc.LastError()
			nc.Close()
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if cause == nil {
				cause = errors.New("no answer")
			}
			return nil, fmt.Errorf("NATS cannot be reached at %s (TWINREEL_NATS_URL): %s", hosts(c.URLs), fault.Text(cause))
		}
	}
	return &connection{nc, js}, nil
}

// hosts lists addresses without what else a URL may hold.
func hosts(urls []string) string {
	var out []string
	for _, s := range urls {
		if u, err := url.Parse(s); err == nil {
			out = append(out, u.Host)
		}
	}
	return strings.Join(out, ", ")
}
