package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// group is what has one leader among the nodes: the cluster's own metadata, a stream, a consumer.
type group struct {
	what     string
	stepDown string // the API's subject that makes its leader step down
	system   bool   // the system account's API
	info     *jetstream.ClusterInfo
}

// leads tells whether the node of that name leads it.
func (g group) leads(name string) error {
	if g.info.Leader != name {
		return fmt.Errorf("%s is led by %q", g.what, g.info.Leader)
	}
	return nil
}

// whole tells whether it has a leader and all its replicas are in step with it.
func (g group) whole() error {
	if g.info.Leader == "" || len(g.info.Replicas) != clusterNodes-1 {
		return fmt.Errorf("%s: leader %q and %d others", g.what, g.info.Leader, len(g.info.Replicas))
	}
	for _, r := range g.info.Replicas {
		if r.Offline || !r.Current {
			return fmt.Errorf("%s: %s is not in step (offline %t, %d behind)", g.what, r.Name, r.Offline, r.Lag)
		}
	}
	return nil
}

// LeadFrom lets a node lead everything: the cluster's metadata, every replicated stream and bucket, every replicated consumer.
// While anything is created, or the cluster elects, that may fail: ask again.
func (c *Cluster) LeadFrom(ctx context.Context, node *Server) error {
	return c.each(ctx, func(admin, system *nats.Conn, g group) error {
		if g.leads(node.Name) == nil {
			return nil
		}
		nc := admin
		if g.system {
			nc = system
		}
		body := fmt.Sprintf(`{"placement":{"preferred":%q}}`, node.Name)
		answer, err := nc.RequestWithContext(ctx, g.stepDown, []byte(body))
		if err != nil {
			return fmt.Errorf("let %s lead %s: %w", node.Name, g.what, err)
		}
		var said struct{ Error *jetstream.APIError }
		if err := json.Unmarshal(answer.Data, &said); err == nil && said.Error != nil {
			return fmt.Errorf("let %s lead %s: %w", node.Name, g.what, said.Error)
		}
		return g.leads(node.Name) // it is asked again whether that has helped
	})
}

// Whole returns nil once all that is replicated is so three times, and in step; else what is not yet.
func (c *Cluster) Whole(ctx context.Context) error {
	return c.each(ctx, func(_, _ *nats.Conn, g group) error { return g.whole() })
}

// each does something for every group, as it is now, and returns the first error of each.
func (c *Cluster) each(ctx context.Context, do func(admin, system *nats.Conn, g group) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	admin, err := nats.Connect(c.Access.URL, nats.UserInfo(c.Access.User, c.Access.Password), nats.Timeout(2*time.Second))
	if err != nil {
		return fmt.Errorf("ask the cluster who leads what: %w", err)
	}
	defer admin.Close()
	system, err := nats.Connect(c.Access.URL, nats.UserInfo(c.Access.SystemUser, c.Access.SystemPassword), nats.Timeout(2*time.Second))
	if err != nil {
		return fmt.Errorf("ask the cluster who leads what: %w", err)
	}
	defer system.Close()
	groups, err := c.groups(ctx, admin)
	if err != nil {
		return fmt.Errorf("ask the cluster who leads what: %w", err)
	}
	var errs []error
	for _, g := range groups {
		errs = append(errs, do(admin, system, g))
	}
	return errors.Join(errs...)
}

// groups are all that have a leader and replicas.
func (c *Cluster) groups(ctx context.Context, nc *nats.Conn) ([]group, error) {
	meta, err := c.metadata(ctx)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	all := []group{{what: "the metadata", stepDown: "$JS.API.META.LEADER.STEPDOWN", system: true, info: meta}}
	streams := js.ListStreams(ctx)
	for s := range streams.Info() {
		if s.Config.Replicas != clusterNodes {
			continue
		}
		all = append(all, group{what: s.Config.Name, stepDown: "$JS.API.STREAM.LEADER.STEPDOWN." + s.Config.Name, info: s.Cluster})
		stream, err := js.Stream(ctx, s.Config.Name)
		if err != nil {
			return nil, err
		}
		consumers := stream.ListConsumers(ctx)
		for i := range consumers.Info() {
			if i.Config.Durable == "" || i.Config.Replicas == 1 {
				continue // it belongs to a single node, and goes with it
			}
			all = append(all, group{what: i.Stream + "'s " + i.Name, stepDown: "$JS.API.CONSUMER.LEADER.STEPDOWN." + i.Stream + "." + i.Name, info: i.Cluster})
		}
		if err := consumers.Err(); err != nil {
			return nil, err
		}
	}
	return all, streams.Err()
}

// metadata is who leads the cluster's own metadata, and how the others stand, as its leader sees them: what another server says
// of them is not what they are.
func (c *Cluster) metadata(ctx context.Context) (*jetstream.ClusterInfo, error) {
	errs := []error{errors.New("the metadata has no leader now")}
	for i, n := range c.Nodes {
		meta, err := askMeta(ctx, c.monitors[i])
		if err == nil && meta.Leader == n.Name {
			return meta, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// askMeta asks one server.
func askMeta(ctx context.Context, monitor string) (*jetstream.ClusterInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second) // one that is frozen never answers
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, monitor+"/jsz", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var said struct {
		Meta jetstream.ClusterInfo `json:"meta_cluster"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&said); err != nil {
		return nil, fmt.Errorf("read what the server says of its metadata: %w", err)
	}
	return &said.Meta, nil
}
