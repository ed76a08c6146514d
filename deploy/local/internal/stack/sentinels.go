package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/twinreel/twinreel/deploy/local/internal/process"
)

// sentinelMaster is the name by which the Sentinels know the servers they watch.
const sentinelMaster = "twinreel"

// Sentinels is a Redis that fails over: two servers, of which one follows the other, and three Sentinels, beside the
// stack's single Redis. Closing the stack ends them.
type Sentinels struct {
	Servers   []*Server // the first one leads at the start
	Sentinels []*Server
	// Env is how programs reach it, name to value.
	Env map[string]string
}

// StartSentinels starts them and waits until each Sentinel knows all others and the follower.
func (s *Stack) StartSentinels(ctx context.Context) (*Sentinels, error) {
	if !s.set.RedisIsReal {
		return nil, errors.New("start Sentinels: that needs a real redis-server, and there is none here")
	}
	p, err := freePorts(5)
	if err != nil {
		return nil, err
	}
	out := &Sentinels{}
	for i, port := range p[:2] {
		conf := fmt.Sprintf("bind 127.0.0.1\nport %d\nappendonly yes\nappendfsync everysec\nsave \"\"\n", port)
		if i > 0 {
			conf += fmt.Sprintf("replicaof 127.0.0.1 %d\n", p[0])
		}
		server, err := s.describeConfigured(fmt.Sprintf("redis-%d", i+1), port, conf)
		if err != nil {
			return nil, err
		}
		out.Servers = append(out.Servers, server)
	}
	var addrs []string
	for i, port := range p[2:] {
		conf := fmt.Sprintf("bind 127.0.0.1\nport %d\nsentinel monitor %s 127.0.0.1 %d 2\nsentinel down-after-milliseconds %[2]s 1000\n"+
			"sentinel failover-timeout %[2]s 5000\n", port, sentinelMaster, p[0])
		server, err := s.describeConfigured(fmt.Sprintf("sentinel-%d", i+1), port, conf, "--sentinel")
		if err != nil {
			return nil, err
		}
		server.ready = func(ctx context.Context) error { return knowsAll(ctx, server.Addr) }
		out.Sentinels, addrs = append(out.Sentinels, server), append(addrs, server.Addr)
	}
	out.Env = map[string]string{
		"TWINREEL_REDIS_SENTINELS": strings.Join(addrs, ","), "TWINREEL_REDIS_SENTINEL_MASTER": sentinelMaster,
	}
	s.more = append(append(s.more, out.Sentinels...), out.Servers...)
	return out, out.start(ctx)
}

func (r *Sentinels) start(ctx context.Context) error {
	for _, group := range [][]*Server{r.Servers, r.Sentinels} {
		var starts []func() error
		for _, server := range group {
			starts = append(starts, func() error { return server.Start(ctx) })
		}
		if err := together(starts...); err != nil {
			return err
		}
	}
	return nil
}

// describeConfigured lays out a Redis that has a file of its own: a failover is written into it, and outlives a restart.
func (s *Stack) describeConfigured(name string, port int, conf string, args ...string) (*Server, error) {
	dir, err := s.folder(name)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "redis.conf")
	if err := os.WriteFile(file, []byte(conf+"dir "+dir+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("write the configuration of %s: %w", name, err)
	}
	addr := loopback(port)
	return &Server{
		Name: name, Addr: addr,
		spec: process.Spec{
			Name: name, Path: s.set.Redis, Argv0: "redis-server", Args: append([]string{file}, args...), Env: os.Environ(), Dir: dir,
			Log: filepath.Join(s.Dir, name+".log"),
		},
		ready: func(ctx context.Context) error { return pingRedis(ctx, addr) },
	}, nil
}

// knowsAll asks a Sentinel whether it knows a follower, both other Sentinels, and enough of them to decide.
func knowsAll(ctx context.Context, addr string) error {
	client := redis.NewSentinelClient(&redis.Options{Addr: addr})
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	master, err := client.Master(ctx, sentinelMaster).Result()
	if err != nil {
		return fmt.Errorf("ask a Sentinel what it knows: %w", err)
	}
	if master["num-slaves"] != "1" || master["num-other-sentinels"] != "2" {
		return fmt.Errorf("a Sentinel knows %s followers and %s other Sentinels", master["num-slaves"], master["num-other-sentinels"])
	}
	return client.CkQuorum(ctx, sentinelMaster).Err()
}

// Leader returns the server that a Sentinel names as the leading one; after its death another, once they have agreed.
func (r *Sentinels) Leader(ctx context.Context) (*Server, error) {
	var errs []error
	for _, s := range r.Sentinels {
		client := redis.NewSentinelClient(&redis.Options{Addr: s.Addr})
		ask, cancel := context.WithTimeout(ctx, time.Second)
		at, err := client.GetMasterAddrByName(ask, sentinelMaster).Result()
		cancel()
		_ = client.Close()
		if err != nil || len(at) != 2 {
			errs = append(errs, fmt.Errorf("ask %s which Redis leads: %w", s.Name, err))
			continue
		}
		for _, server := range r.Servers {
			if server.Addr == net.JoinHostPort(at[0], at[1]) {
				return server, nil
			}
		}
	}
	return nil, errors.Join(append(errs, errors.New("no Sentinel names a leading Redis"))...)
}
