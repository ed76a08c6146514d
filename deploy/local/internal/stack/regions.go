package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/twinreel/twinreel/deploy/local/internal/process"
	"github.com/twinreel/twinreel/deploy/local/natsserver"
	"github.com/twinreel/twinreel/pkg/testenv"
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
	Link       Login // as which West's server comes to East's
}

// unshared is what must not pass between the regions: what both have streams for, which would take it; and what would change or
// empty the other's streams, or take what its workers do. Whoever takes the connection has permissions for that; whoever makes it
// has this alone.
var unshared = []string{
	"recordings.>", "audit.>", "$KV.>", "$JS.*.API.STREAM.CREATE.>", "$JS.*.API.STREAM.UPDATE.>", "$JS.*.API.STREAM.DELETE.>", "$JS.*.API.STREAM.PURGE.>",
	"$JS.*.API.STREAM.MSG.>", "$JS.*.API.CONSUMER.DELETE.>", "$JS.*.API.CONSUMER.MSG.>",
}

// StartRegions starts two regions beside the stack's own servers, over its stores, in a world of their own there. Closing the
// stack ends them. via returns the address at which West reaches the one given, of East; nil: the same.
func (s *Stack) StartRegions(ctx context.Context, w World, via func(addr string) (string, error)) (*Regions, error) {
	ports, err := freePorts(7)
	if err != nil {
		return nil, err
	}
	link := Login{natsserver.Region, secret(16)}
	east, err := s.describeRegion(w, "east", ports[:3], natsConf{region: &link, leafs: ports[6]})
	if err != nil {
		return nil, err
	}
	at := loopback(ports[6])
	if via != nil {
		if at, err = via(at); err != nil {
			return nil, err
		}
	}
	west, err := s.describeRegion(w, "west", ports[3:6], natsConf{more: remotes(at, map[string]Login{"TWINREEL": link})})
	if err != nil {
		return nil, err
	}
	east.Peer, west.Peer = west.Name, east.Name
	r := &Regions{east, west, link}
	s.more = append(s.more, east.NATS, west.NATS, east.Redis, west.Redis)
	west.NATS.ready = joined(west.World.NATS.MonitorURL, 1, west.NATS.ready)
	return r, together(
		func() error { return errors.Join(east.NATS.Start(ctx), west.NATS.Start(ctx)) },
		func() error { return east.Redis.Start(ctx) }, func() error { return west.Redis.Start(ctx) },
	)
}

// joined waits at a server's first start also for its leaf node connections: a mirror whose first request finds none tries again
// half a minute later. Once they were there, they need not be: the server works alone.
func joined(monitor string, n int, ready func(context.Context) error) func(context.Context) error {
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
		if leafs.N < n {
			return fmt.Errorf("%d of %d leaf node connections are there", leafs.N, n)
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
func (s *Stack) describeRegion(w World, name string, ports []int, conf natsConf) (*Region, error) {
	dir, err := s.folder("nats-" + name)
	if err != nil {
		return nil, err
	}
	access := s.NATSAccess
	access.URL, access.TLSURL, access.MonitorURL = "nats://"+loopback(ports[0]), "tls://"+loopback(ports[0]), "http://"+loopback(ports[1])
	conf.name, conf.dir, conf.port, conf.monitor, conf.domain = name+"-1", dir, ports[0], ports[1], name
	conf.sync, conf.certificate, conf.access = "always", s.natsCertificate, access
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
		NATS: s.natsServer("nats-"+name, conf),
	}, nil
}

// natsServer is one more NATS server.
func (s *Stack) natsServer(name string, conf natsConf) *Server {
	return &Server{
		Name: name, Addr: loopback(conf.port),
		spec:  process.Spec{Name: name, Path: s.set.NATS, Args: []string{"-c", conf.file()}, Env: os.Environ(), Log: filepath.Join(s.Dir, name+".log")},
		ready: answers("http://"+loopback(conf.monitor)+"/healthz", http.StatusOK),
	}
}

// remotes has a server make leaf node connections to another's address, one for each account, as these logins.
func remotes(addr string, logins map[string]Login) string {
	deny := `"` + strings.Join(unshared, `", "`) + `"`
	var b strings.Builder
	b.WriteString("leafnodes { reconnect: 1s, remotes: [\n")
	for _, account := range slices.Sorted(maps.Keys(logins)) {
		l := logins[account]
		fmt.Fprintf(&b, "  { urls: [\"nats://%s:%s@%s\"], account: %s, deny_imports: [%s], deny_exports: [%[5]s] }\n", l.User, l.Password, addr, account, deny)
	}
	b.WriteString("] }\n")
	return b.String()
}

// StartPeer starts the NATS server that tests of single packages take for another region's: its accounts of package testenv's
// names are joined with those of the stack's own.
func (s *Stack) StartPeer(ctx context.Context) error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	dir, err := s.folder("nats-peer")
	if err != nil {
		return err
	}
	logins := map[string]Login{}
	for _, account := range testenv.PeerAccounts() {
		logins[account] = Login{account, testenv.NATSPassword}
	}
	conf := natsConf{
		name: "peer", dir: dir, port: ports[0], monitor: ports[1], sync: "always", certificate: s.natsCertificate, access: s.NATSAccess, domain: testenv.PeerDomain,
		more: remotes(loopback(s.natsConf.leafs), logins),
	}
	if err := conf.write(); err != nil {
		return err
	}
	server := s.natsServer("nats-peer", conf)
	server.ready = joined("http://"+loopback(conf.monitor), len(logins), server.ready)
	s.more, s.PeerURL = append(s.more, server), "nats://"+server.Addr
	return server.Start(ctx)
}

// Settings are what a region's programs are told of the other.
func (r *Region) Settings() map[string]string {
	return map[string]string{"TWINREEL_PEER_DOMAIN": r.Peer}
}
