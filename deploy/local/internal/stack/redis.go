package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/process"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
)

func (s *Stack) describeRedis(set tools.Set, port int) error {
	dir, err := s.folder("redis")
	if err != nil {
		return err
	}
	addr := loopback(port)
	s.RedisURL = "redis://" + addr + "/0"
	args := []string{addr}
	if set.RedisIsReal {
		args = []string{
			"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir,
			"--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
		}
	}
	s.Redis = &Server{
		Name: "redis-server", Addr: addr,
		spec: process.Spec{
			// The binary is the server only when it is called so.
			Name: "redis-server", Path: set.Redis, Argv0: "redis-server", Args: args, Env: os.Environ(),
			Dir: dir, Log: filepath.Join(s.Dir, "redis.log"),
		},
		ready: func(ctx context.Context) error { return pingRedis(ctx, addr) },
	}
	return nil
}

// pingRedis asks for one PONG; a server that is still loading its data answers something else.
func pingRedis(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("*1\r\n$4\r\nPING\r\n")); err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	answer := make([]byte, 64)
	n, err := conn.Read(answer)
	if err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	if got := strings.TrimSpace(string(answer[:n])); got != "+PONG" {
		return errors.New("ping redis: answered " + got)
	}
	return nil
}
