package stack_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/twinreel/twinreel/deploy/local/internal/stack"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// toolset is where the servers are; whoever runs these tests in the harness has them already.
func toolset(t *testing.T) tools.Set {
	t.Helper()
	testenv.Need(t, testenv.Bin)
	root, err := tools.Root()
	if err != nil {
		t.Fatal(err)
	}
	set, err := tools.Tools{Root: root, Say: io.Discard}.Ensure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// start starts a stack that is closed when the test ends.
func start(t *testing.T) *stack.Stack {
	t.Helper()
	s, err := stack.Start(t.Context(), toolset(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestAStack starts one stack for all that can be seen of a running one; the last of them closes it.
func TestAStack(t *testing.T) {
	s := start(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, *stack.Stack)
	}{
		{"tells tests all they need", environNamesAll},
		{"lets the writer of S3 only add and the reader only look", writerOfS3CanOnlyAdd},
		{"lets the writer of Azure only add and the reader only look", writerOfAzureCanOnlyAdd},
		{"has worlds that do not see each other", worldsDoNotSeeEachOther},
		{"keeps ports and data when its servers are stopped", serversKeepPortAndData},
		{"does not answer while frozen, and does again when thawed", frozenServerDoesNotAnswer},
		{"has a NATS cluster where asked, that survives its leader", aClusterSurvivesItsLeader},
		{"has a Redis that fails over where asked", aRedisFailsOver},
		{"leaves nothing behind when closed", closeLeavesNothing},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}

// accessDenied fails unless the error is S3's refusal.
func accessDenied(t *testing.T, what string, err error) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "AccessDenied" {
		t.Errorf("%s: error %v, want AccessDenied", what, err)
	}
}

func put(ctx context.Context, c *s3.Client, bucket, key string) error {
	_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("body of " + key)})
	return err
}

func writerOfS3CanOnlyAdd(t *testing.T, s *stack.Stack) {
	ctx, a := t.Context(), s.S3Access
	writer, reader, key := a.Client(a.Writer), a.Client(a.Reader), "recordings/one.wav"
	if err := put(ctx, writer, a.Bucket, key); err != nil {
		t.Fatal(err)
	}
	_, err := writer.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &a.Bucket, Key: &key})
	accessDenied(t, "the writer deletes", err)
	_, err = writer.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: &a.Bucket})
	accessDenied(t, "the writer changes the bucket", err)
	accessDenied(t, "the reader puts a recording", put(ctx, reader, a.Bucket, "recordings/two.wav"))
	_, err = reader.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &a.Bucket, Key: &key})
	accessDenied(t, "the reader deletes", err)
	if err := put(ctx, reader, a.Bucket, "audit/epoch/one"); err != nil {
		t.Errorf("the reader seals the audit log: %v", err)
	}
	versions, err := reader.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &a.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	if len(versions.Versions) != 2 || *versions.Versions[1].VersionId == "null" {
		t.Errorf("listed %d versions, want 2 with IDs", len(versions.Versions))
	}
}

func serversKeepPortAndData(t *testing.T, s *stack.Stack) {
	ctx := t.Context()
	options, err := redis.ParseURL(s.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	cache := redis.NewClient(options)
	defer cache.Close()
	if err := cache.Set(ctx, "kept", "yes", 0).Err(); err != nil {
		t.Fatal(err)
	}
	js := connect(t, s.NATSAccess.URL, s.NATSAccess.User, s.NATSAccess.Password)
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "KEPT", Subjects: []string{"kept"}}); err != nil {
		t.Fatal(err)
	}
	a := s.S3Access
	if err := put(ctx, a.Client(a.Writer), a.Bucket, "kept"); err != nil {
		t.Fatal(err)
	}
	for _, server := range s.Servers() {
		if err := errors.Join(server.Stop(), server.Start(ctx)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := cache.Get(ctx, "kept").Result(); got != "yes" {
		t.Errorf("Redis has %q, %v", got, err)
	}
	again := connect(t, s.NATSAccess.URL, s.NATSAccess.User, s.NATSAccess.Password)
	if _, err := again.Stream(ctx, "KEPT"); err != nil {
		t.Errorf("NATS: %v", err)
	}
	key := "kept"
	if _, err := a.Client(a.Reader).GetObject(ctx, &s3.GetObjectInput{Bucket: &a.Bucket, Key: &key}); err != nil {
		t.Errorf("S3: %v", err)
	}
}

func connect(t *testing.T, url, user, password string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, nats.UserInfo(user, password))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func worldsDoNotSeeEachOther(t *testing.T, s *stack.Stack) {
	ctx := t.Context()
	one, err := s.NewWorld(ctx)
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.NewWorld(ctx)
	if err != nil {
		t.Fatal(err)
	}
	js := connect(t, one.NATS.URL, one.NATS.User, one.NATS.Password)
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "OWN"}); err != nil {
		t.Fatal(err)
	}
	js = connect(t, other.NATS.URL, other.NATS.User, other.NATS.Password)
	if _, err := js.Stream(ctx, "OWN"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("one world's stream in the other: %v", err)
	}
	if one.S3.Bucket == other.S3.Bucket || one.Azure.Container == other.Azure.Container || one.RedisPrefix == other.RedisPrefix ||
		one.Azure.WriterSAS == other.Azure.WriterSAS {
		t.Errorf("two worlds share something: %+v", one)
	}
}

func frozenServerDoesNotAnswer(t *testing.T, s *stack.Stack) {
	ask := func(patience time.Duration) error {
		conn, err := net.DialTimeout("tcp", s.Redis.Addr, patience)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
			return err
		}
		_, err = conn.Read(make([]byte, 16))
		return err
	}
	if err := s.Redis.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := ask(200 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("frozen: %v, want no answer", err)
	}
	if err := s.Redis.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := ask(10 * time.Second); err != nil {
		t.Errorf("thawed: %v", err)
	}
	if err := errors.Join(s.Redis.Kill(), s.Redis.Freeze()); !errors.Is(err, stack.ErrNotRunning) {
		t.Errorf("freeze a killed server: %v", err)
	}
}

func closeLeavesNothing(t *testing.T, s *stack.Stack) {
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
	for _, server := range s.Servers() {
		if server.PID() != 0 {
			t.Errorf("%s still runs", server.Name)
		}
	}
}

func TestAStartThatFailsHalfWaySaysWhyAndLeavesNothingBehind(t *testing.T) {
	set := toolset(t)
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	script := filepath.Join(dir, "node")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho this node is broken\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	set.Node = script
	_, err := stack.Start(t.Context(), set)
	if err == nil || !strings.Contains(err.Error(), "this node is broken") {
		t.Fatalf("error %v, want one with the server's last lines", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "twinreel-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	// The servers that did start carry the folder in their command lines.
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(commands) == 0 {
		t.Fatalf("no processes found: %v", err)
	}
	for _, file := range commands {
		if line, err := os.ReadFile(file); err == nil && strings.Contains(string(line), dir+"/twinreel-") {
			t.Errorf("still running: %q", line)
		}
	}
}

func environNamesAll(t *testing.T, s *stack.Stack) {
	env := make(map[string]string)
	for _, line := range s.Environ("/somewhere/bin") {
		name, value, _ := strings.Cut(line, "=")
		env[name] = value
	}
	for _, name := range []string{
		testenv.NATSURL, testenv.RedisURL, testenv.S3Endpoint, testenv.S3Region, testenv.S3Bucket, testenv.S3WriterKey,
		testenv.S3WriterSecret, testenv.S3ReaderKey, testenv.S3ReaderSecret, testenv.S3RootKey, testenv.S3RootSecret,
		testenv.AzureServiceURL, testenv.AzureAccountName, testenv.AzureAccountKey, testenv.AzureContainer, testenv.Bin,
	} {
		if env[name] == "" {
			t.Errorf("%s is not set", name)
		}
	}
}
