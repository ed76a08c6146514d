package tools

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// redis finds a real Redis, installs Debian's where it can, and else builds the in-memory stand-in, saying so.
func (t Tools) redis(ctx context.Context, s *Set) error {
	if findRedis(s) {
		return nil
	}
	why := "it is not installed, and this is not root on Debian (apt-get install redis-tools brings it)"
	if apt, err := exec.LookPath("apt-get"); err == nil && os.Geteuid() == 0 {
		if why = t.aptRedis(ctx, apt); why == "" && findRedis(s) {
			return nil
		}
	}
	s.RedisIs = "miniredis, in memory, in place of a real Redis: " + why
	fmt.Fprintln(t.Say, "Redis: "+s.RedisIs)
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
			s.Redis, s.RedisIsReal, s.RedisIs = path, true, "redis-server ("+name+")"
			return true
		}
	}
	return false
}

// aptRedis installs Debian's redis-tools and says why it could not.
func (t Tools) aptRedis(ctx context.Context, apt string) string {
	fmt.Fprintln(t.Say, "installing redis-tools by apt-get (once) …")
	for _, args := range [][]string{{"update", "-q"}, {"install", "-y", "-q", "--no-install-recommends", "redis-tools"}} {
		cmd := exec.CommandContext(ctx, apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if err := run(cmd); err != nil {
			return err.Error()
		}
	}
	return ""
}
