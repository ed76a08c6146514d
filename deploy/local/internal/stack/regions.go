package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/twinreel/twinreel/deploy/local/internal/process"
	"github.com/twinreel/twinreel/deploy/local/natsserver"
)

// Region is what a fleet of its own has of its own: a NATS server, whose JetStream is a domain, and a Redis. The stores are
// those of all regions.
type Region struct {
	Name        string // of the domain
	NATS, Redis *Server
	World       World
	Peer        string // the other region's name
}

// Regions are two of them, joined by a leaf node connection over which their JetStreams mirror each other.
type Regions struct {
	East, West *Region
}

// unshared is what must not pass between the regions: both have streams that would take it.
var unshared = []string{"recordings.>", "audit.>", "$KV.>"}

// StartRegions starts two regions beside the stack's own servers, over its stores, in a world of their own there. Closing the
// stack ends them.
func (s *Stack) StartRegions(ctx context.Context, w World) (*Regions, error) {
	ports, err := freePorts(7)
	if err != nil {
		return nil, err
	}
	link := Login{natsserver.Region, secret(16)}
	east, err := s.describeRegion(w, "east", ports[:3], &link, fmt.Sprintf("leafnodes { listen: %q }\n", loopback(ports[6])))
	if err != nil {
		return nil, err
	}
	deny := `"` + strings.Join(unshared, `", "`) + `"`
	west, err := s.describeRegion(w, "west", ports[3:6], nil, fmt.Sprintf(
		"leafnodes { reconnect: 1s, remotes: [{ urls: [\"nats://%s:%s@%s\"], account: TWINREEL, deny_imports: [%s], deny_exports: [%[4]s] }] }\n",
		link.User, link.Password, loopback(ports[6]), deny))
	if err != nil {
		return nil, err
	}
	east.Peer, west.Peer = west.Name, east.Name
	r := &Regions{east, west}
	s.more = append(s.more, east.NATS, west.NATS, east.Redis, west.Redis)
	west.NATS.ready = joined(west.World.NATS.MonitorURL, west.NATS.ready)
	return r, together(
		func() error { return errors.Join(east.NATS.Start(ctx), west.NATS.Start(ctx)) },
		func() error { return east.Redis.Start(ctx) }, func() error { return west.Redis.Start(ctx) },
	)
}

// joined waits at a server's first start also for its leaf node connection: a mirror whose first request finds none tries again
// half a minute later. Once there was one, it need not be: the server works alone.
func joined(monitor string, ready func(context.Context) error) func(context.Context) error {
	var once atomic.Bool
	return func(ctx context.Context) error {
		if err := ready(ctx); err != nil || once.Load() {
			return err
		}
		var leafs struct {
			N int `json:"leafnodes"`
		}
		if err := ask(ctx, monitor+"/leafz", &leafs); err != nil {
			return err
		}
		if leafs.N == 0 {
			return errors.New("no leaf node connection yet")
		}
		once.Store(true)
		return nil
	}
}

// ask reads the JSON that a GET of url is answered with.
func ask(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}

// describeRegion lays out a region's servers.
func (s *Stack) describeRegion(w World, name string, ports []int, link *Login, leaf string) (*Region, error) {
	dir, err := s.folder("nats-" + name)
	if err != nil {
		return nil, err
	}
	access := s.NATSAccess
	access.URL, access.TLSURL, access.MonitorURL = "nats://"+loopback(ports[0]), "tls://"+loopback(ports[0]), "http://"+loopback(ports[1])
	conf := natsConf{
		name: name + "-1", dir: dir, port: ports[0], monitor: ports[1], sync: "always", certificate: s.natsCertificate, access: access, domain: name,
		region: link, more: leaf,
	}
	if err := conf.write(); err != nil {
		return nil, err
	}
	redis, err := s.describeConfigured("redis-"+name, ports[2], fmt.Sprintf("bind 127.0.0.1\nport %d\nappendonly yes\nappendfsync everysec\nsave \"\"\n", ports[2]))
	if err != nil {
		return nil, err
	}
	w.NATS, w.RedisURL = access, "redis://"+loopback(ports[2])+"/0"
	return &Region{
		Name: name, World: w, Redis: redis,
		NATS: &Server{
			Name: "nats-" + name, Addr: loopback(ports[0]),
			spec:  process.Spec{Name: "nats-" + name, Path: s.set.NATS, Args: []string{"-c", conf.file()}, Env: os.Environ(), Log: filepath.Join(s.Dir, "nats-"+name+".log")},
			ready: answers(access.MonitorURL+"/healthz", http.StatusOK),
		},
	}, nil
}

// Settings are what a region's programs are told of the other.
func (r *Region) Settings() map[string]string {
	return map[string]string{"TWINREEL_PEER_DOMAIN": r.Peer}
}
