package tools

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/process"
)

// bare makes PATH a folder that holds nothing but links to the named programs, as on a machine that lacks the others.
func bare(t *testing.T, programs ...string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range programs {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

func TestRootIsFoundFromBelowAndMissedElsewhere(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "deploy", "local", "internal", "tools", "tools_test.go")); err != nil {
		t.Errorf("%s is not the repository: %v", root, err)
	}
	t.Chdir(t.TempDir())
	if _, err := Root(); err == nil || !strings.Contains(err.Error(), "go.work") {
		t.Errorf("elsewhere: %v, want an error that says what was looked for", err)
	}
}

func TestAFolderOfTheCacheIsFilledWhollyOrNotAtAll(t *testing.T) {
	tools := Tools{Root: t.TempDir(), Say: io.Discard}
	dir := tools.cache("thing-v1")
	broken := errors.New("the registry is away")
	half := func(dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "half"), nil, 0o600), broken)
	}
	if err := tools.fill(dir, half); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after a failure the folder is there: %v", err)
	}
	whole := func(dir string) error { return os.WriteFile(filepath.Join(dir, "whole"), nil, 0o600) }
	if err := tools.fill(dir, whole); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "whole" {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestASecondRunWaitsForTheCache(t *testing.T) {
	var said strings.Builder
	first := Tools{Root: t.TempDir(), Say: io.Discard}
	second := Tools{Root: first.Root, Say: &said}
	unlock, err := first.lock()
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		release, err := second.lock()
		if err == nil {
			release()
		}
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("two runs had the cache at once: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	unlock()
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "waiting") {
		t.Errorf("the second run said %q", said.String())
	}
}

func TestMissingNodeSaysWhatToInstall(t *testing.T) {
	bare(t, "go")
	_, _, err := Tools{Root: t.TempDir(), Say: io.Discard}.azurite(t.Context())
	if err == nil || !strings.Contains(err.Error(), "install Node.js 20") {
		t.Errorf("error %v, want one that says what to install", err)
	}
}

func TestMissingNpmSaysWhatToInstall(t *testing.T) {
	bare(t, "node")
	_, _, err := Tools{Root: t.TempDir(), Say: io.Discard}.azurite(t.Context())
	if err == nil || !strings.Contains(err.Error(), "apt-get install npm") {
		t.Errorf("error %v, want one that says what to install", err)
	}
}

func TestMissingCompilerSaysWhatToInstall(t *testing.T) {
	bare(t, "go")
	err := Tools{Root: t.TempDir(), Say: io.Discard}.Compiler(t.Context())
	if err == nil || !strings.Contains(err.Error(), "gcc libc6-dev") {
		t.Errorf("error %v, want one that says what to install", err)
	}
}

func TestOneBinaryUnderAnotherNameIsARealRedis(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "redis-check-aof"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	var s Set
	if !findRedis(&s) || !s.RedisIsReal || s.Redis != filepath.Join(dir, "redis-check-aof") {
		t.Errorf("found %+v", s)
	}
}

func TestWithoutRedisTheStandInIsSaidAndServes(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	bare(t, "go")
	var said strings.Builder
	var s Set
	if err := (Tools{Root: root, Say: &said}).redis(t.Context(), &s); err != nil {
		t.Fatal(err)
	}
	if s.RedisIsReal || !strings.Contains(s.RedisIs, "miniredis") || !strings.Contains(said.String(), "miniredis") {
		t.Errorf("found %+v, said %q", s, said.String())
	}
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	addr := serve(ctx, t, s.Redis)
	for _, step := range []struct{ ask, want string }{{"SET k v PX 300", "+OK"}, {"GET k", "$1"}} {
		if got := ask(ctx, t, addr, step.ask); got != step.want {
			t.Errorf("%s answered %q, want %q", step.ask, got, step.want)
		}
	}
	// Its clock goes: what is to live for 300 ms does not live for ever.
	for ask(ctx, t, addr, "GET k") != "$-1" {
		if ctx.Err() != nil {
			t.Fatal("the key lived on")
		}
	}
}

// serve runs the stand-in on a free port until the test ends, and waits until it answers.
func serve(ctx context.Context, t *testing.T, program string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	l.Close()
	p, err := process.Start(process.Spec{Name: "miniredis", Path: program, Args: []string{addr}, Log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(10 * time.Second); err != nil || p.ExitCode() != 0 {
			t.Errorf("end the stand-in: exit code %d, %v", p.ExitCode(), err)
		}
	})
	// It listens a moment before it knows all commands.
	ready := func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		conn.Close()
		if got := ask(ctx, t, addr, "EXISTS k"); got != ":0" {
			return errors.New("it answered " + got)
		}
		return nil
	}
	if err := p.Await(ctx, ready); err != nil {
		t.Fatal(err)
	}
	return addr
}

// ask sends one command and returns the first line of the answer.
func ask(ctx context.Context, t *testing.T, addr, command string) string {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	words := strings.Fields(command)
	request := fmt.Sprintf("*%d\r\n", len(words))
	for _, w := range words {
		request += fmt.Sprintf("$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}
