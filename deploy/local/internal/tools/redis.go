package tools

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// redis finds a real Redis, installs Debian's where it can, and else builds the in-memory stand-in, saying so.
func (t Tools) redis(ctx context.Context, s *Set) error {
	if findRedis(s) {
		return nil
	}
	why := t.install(ctx, "redis-tools")
	if why == "" && findRedis(s) {
		return nil
	}
	s.RedisIs = "miniredis (in memory, in place of a real Redis)"
	fmt.Fprintf(t.Say, "no Redis: %s. Using %s\n", why, s.RedisIs)
	s.Redis = t.cache("miniredis")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", s.Redis, "./cmd/miniredis")
	cmd.Dir = filepath.Join(t.Root, "deploy", "local")
	return run(cmd)
}

// findRedis looks for a real Redis. Debian's redis-tools carries the server's binary under another name, and the
// binary becomes what it is called: no service is installed with it.
func findRedis(s *Set) bool {
	for _, name := range []string{"redis-server", "redis-check-aof"} {
		if path, err := exec.LookPath(name); err == nil {
			s.Redis, s.RedisIsReal, s.RedisIs = path, true, "redis-server (the binary "+path+")"
			return true
		}
	}
	return false
}
