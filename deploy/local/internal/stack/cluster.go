package stack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/deploy/local/internal/process"
)

// clusterNodes is how many servers a cluster has: as many as a stream can have replicas, so that one may be lost.
const clusterNodes = 3

// Cluster is three NATS servers that are one JetStream, beside the stack's single one, with the same accounts, users and
// permissions. Streams are replicated in it with TWINREEL_NATS_REPLICAS=3. Closing the stack ends it.
type Cluster struct {
	Nodes  []*Server
	Access NATSAccess // its URLs name all three

	stack    *Stack
	monitors []string // of the nodes
}

// StartCluster starts a cluster and waits until it has a leader.
func (s *Stack) StartCluster(ctx context.Context) (*Cluster, error) {
	p, err := freePorts(3 * clusterNodes)
	if err != nil {
		return nil, err
	}
	clients, monitors, routes := p[:clusterNodes], p[clusterNodes:2*clusterNodes], p[2*clusterNodes:]
	c := &Cluster{stack: s, Access: s.NATSAccess}
	c.Access.URL, c.Access.TLSURL = addresses("nats", clients), addresses("tls", clients)
	c.Access.MonitorURL = "http://" + loopback(monitors[0])
	for i := range clients {
		c.monitors = append(c.monitors, "http://"+loopback(monitors[i]))
		node, err := s.describeNode(i, clients[i], monitors[i], routes)
		if err != nil {
			return nil, err
		}
		c.Nodes = append(c.Nodes, node)
	}
	s.more = append(s.more, c.Nodes...)
	return c, c.Start(ctx)
}

// describeNode lays out one server of the cluster.
func (s *Stack) describeNode(i, port, monitor int, routes []int) (*Server, error) {
	name := fmt.Sprintf("nats-%d", i+1)
	dir, err := s.folder(name)
	if err != nil {
		return nil, err
	}
	conf := natsConf{name: name, dir: dir, port: port, monitor: monitor, sync: "always", certificate: s.natsCertificate, access: s.NATSAccess}
	conf.more = fmt.Sprintf("cluster { name: twinreel, listen: %q, routes: [%s] }\n", loopback(routes[i]), addresses("nats", routes))
	if err := conf.write(); err != nil {
		return nil, err
	}
	return &Server{
		Name: name, Addr: loopback(port),
		spec: process.Spec{
			Name: name, Path: s.set.NATS, Args: []string{"-c", conf.file()}, Env: os.Environ(), Log: filepath.Join(s.Dir, name+".log"),
		},
		ready: answers("http://"+loopback(monitor)+"/healthz", http.StatusOK),
	}, nil
}

// addresses is a comma list of URLs.
func addresses(scheme string, ports []int) string {
	var all []string
	for _, p := range ports {
		all = append(all, scheme+"://"+loopback(p))
	}
	return strings.Join(all, ",")
}

// Start starts those nodes that do not run, side by side, and waits until each has caught up. Alone a node cannot: it
// needs one other to be there.
func (c *Cluster) Start(ctx context.Context) error {
	var starts []func() error
	for _, n := range c.Nodes {
		starts = append(starts, func() error { return n.Start(ctx) })
	}
	return together(starts...)
}

// World is the stack's own world, with the cluster in place of its single NATS server.
func (c *Cluster) World() World {
	w := c.stack.World()
	w.NATS = c.Access
	return w
}

// Leader returns the node that leads the stream's replicas. While there is none, as after its death, that is an error:
// ask again.
func (c *Cluster) Leader(ctx context.Context, stream string) (*Server, error) {
	nc, err := nats.Connect(c.Access.URL, nats.UserInfo(c.Access.User, c.Access.Password), nats.Timeout(2*time.Second), nats.MaxReconnects(-1))
	if err != nil {
		return nil, fmt.Errorf("ask the cluster who leads %s: %w", stream, err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("ask the cluster who leads %s: %w", stream, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	st, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, fmt.Errorf("ask the cluster who leads %s: %w", stream, err)
	}
	if info := st.CachedInfo().Cluster; info != nil {
		for _, n := range c.Nodes {
			if n.Name == info.Leader {
				return n, nil
			}
		}
	}
	return nil, errors.New(stream + " has no leader now")
}
