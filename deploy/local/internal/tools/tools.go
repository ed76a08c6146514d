// Package tools gets what the one-machine stack is made of: pinned servers into the cache folder at the top of the
// repository, and Twinreel's own programs into bin.
//
// Everything is fetched once, by the ordinary clients of the registries (go, npm, apt-get), into a folder that carries
// the version; a lock file lets several runs share the cache.
package tools

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Pinned versions of the servers that are built from Go source.
const (
	natsServer = "v2.15.2"
	versitygw  = "v1.8.0"
)

// Servers names the servers of a set and their versions, but for Redis, which says so itself.
func Servers() []string {
	return []string{"nats-server " + natsServer, "versitygw " + versitygw, "Azurite (deploy/local/azurite)"}
}

// Tools fetches and remembers where things are.
type Tools struct {
	// Root is the top folder of the repository.
	Root string
	// Say gets one line for each thing that takes a while.
	Say io.Writer
}

// Set is where everything is.
type Set struct {
	NATS, Versitygw string
	// Redis is the program to run under the name redis-server, with RedisArgs before all others.
	Redis string
	// RedisIs says in words which Redis that is.
	RedisIs string
	// RedisIsReal is false for the in-memory stand-in.
	RedisIsReal bool
	Node        string
	// Azurite is the Blob server's script, for Node.
	Azurite string
}

// Root finds the top folder of the repository from the working folder upwards: the one that holds go.work.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the repository: no go.work here or above; run this inside Twinreel's repository")
		}
		dir = parent
	}
}

// Ensure returns where everything is, after fetching what is missing.
func (t Tools) Ensure(ctx context.Context) (Set, error) {
	unlock, err := t.lock()
	if err != nil {
		return Set{}, err
	}
	defer unlock()
	var s Set
	if s.NATS, err = t.goTool(ctx, "github.com/nats-io/nats-server/v2", natsServer); err != nil {
		return Set{}, err
	}
	if s.Versitygw, err = t.goTool(ctx, "github.com/versity/versitygw/cmd/versitygw", versitygw); err != nil {
		return Set{}, err
	}
	if s.Node, s.Azurite, err = t.azurite(ctx); err != nil {
		return Set{}, err
	}
	if err := t.redis(ctx, &s); err != nil {
		return Set{}, err
	}
	return s, nil
}

// cache is the folder for what is fetched.
func (t Tools) cache(name string) string { return filepath.Join(t.Root, ".cache", name) }

// lock keeps a second run out of the cache until the returned function is called.
func (t Tools) lock() (func(), error) {
	if err := os.MkdirAll(t.cache(""), 0o755); err != nil {
		return nil, fmt.Errorf("make the cache folder: %w", err)
	}
	f, err := os.OpenFile(t.cache("lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the cache's lock file: %w", err)
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		fmt.Fprintln(t.Say, "waiting for another run that is filling .cache …")
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			f.Close()
			return nil, fmt.Errorf("lock the cache folder: %w", err)
		}
	}
	return func() { f.Close() }, nil
}

// goTool builds the program of a Go package at a version, once, and returns its file.
func (t Tools) goTool(ctx context.Context, pkg, version string) (string, error) {
	name := strings.TrimSuffix(pkg, "/v2")
	name = name[strings.LastIndex(name, "/")+1:]
	file := filepath.Join(t.cache(name+"-"+version), name)
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	return file, t.fill(filepath.Dir(file), func(dir string) error {
		fmt.Fprintf(t.Say, "building %s %s (once) …\n", name, version)
		cmd := exec.CommandContext(ctx, "go", "install", pkg+"@"+version)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOWORK=off", "GOFLAGS=-buildvcs=false")
		return run(cmd)
	})
}

// fill makes the folder dir by what make puts into it: wholly or not at all.
func (t Tools) fill(dir string, fill func(dir string) error) error {
	if err := os.RemoveAll(dir + ".new"); err != nil {
		return fmt.Errorf("clear an unfinished folder of the cache: %w", err)
	}
	if err := os.MkdirAll(dir+".new", 0o755); err != nil {
		return fmt.Errorf("make a folder of the cache: %w", err)
	}
	if err := fill(dir + ".new"); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("replace a folder of the cache: %w", err)
	}
	if err := os.Rename(dir+".new", dir); err != nil {
		return fmt.Errorf("finish a folder of the cache: %w", err)
	}
	return nil
}

// run runs cmd and, where it fails, says what it printed.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
