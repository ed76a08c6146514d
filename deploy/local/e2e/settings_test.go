package e2e

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// given settings that are missing or malformed, when a program starts, then it ends at once with exit code 2 and one line
// for each, by name, and no stack trace.
func TestBadSettings(t *testing.T) {
	t.Parallel()
	bad := map[string]string{"TWINREEL_DRAIN_TIMEOUT": "soon", "TWINREEL_LOG_LEVEL": "loud", "TWINREEL_NATS_URL": "http://nats", "TWINREEL_ADMIN_ADDR": "nowhere"}
	worker := map[string]string{
		"TWINREEL_CONCURRENCY": "0", "TWINREEL_PART_BYTES": "1MiB", "TWINREEL_RETRY_BASE": "-1s", "TWINREEL_SOURCE_ALLOWED_CIDRS": "10.0.0.0/99",
		"TWINREEL_REDIS_URL": "mysql://x", "TWINREEL_MAX_RECORDING_BYTES": "many", "TWINREEL_OFFPEAK": "at night", "TWINREEL_BREAKER_FAILURES": "0",
	}
	for name, tc := range map[string]struct {
		more    map[string]string
		missing []string
	}{
		fleet.Ingress:       {map[string]string{"TWINREEL_ACK_TIMEOUT": "x", "TWINREEL_LISTEN_ADDR": "nowhere"}, []string{"TWINREEL_WEBHOOK_SECRET"}},
		fleet.WorkerPrimary: {worker, []string{"TWINREEL_S3_BUCKET", "TWINREEL_S3_REGION"}},
		fleet.WorkerBackup:  {worker, []string{"TWINREEL_AZURE_SERVICE_URL", "TWINREEL_AZURE_CONTAINER"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := maps.Clone(bad)
			maps.Copy(env, tc.more)
			want := slices.Sorted(maps.Keys(env))
			want = append(want, tc.missing...)
			code, said := startOnce(t, name, env)
			if code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			oneLineEach(t, said, want)
		})
	}
}

// startOnce runs a program with nothing in its environment but env until it ends.
func startOnce(t *testing.T, program string, env map[string]string) (code int, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(testenv.Need(t, testenv.Bin), program))
	cmd.Env, cmd.Dir = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, t.TempDir()
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var out bytes.Buffer
	cmd.Stderr = &out
	err := cmd.Run()
	if ended := (*exec.ExitError)(nil); err != nil && !errors.As(err, &ended) {
		t.Fatalf("run %s: %v", program, err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// oneLineEach holds what a program said against the variables that it has to name, one in a line.
func oneLineEach(t *testing.T, said string, want []string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(said), "\n")
	for _, name := range want {
		about := 0
		for _, l := range lines {
			if strings.HasPrefix(l, name+": ") {
				about++
			}
		}
		if about == 0 {
			t.Errorf("no line names %s", name)
		}
	}
	if len(lines) > len(want)+1 { // and perhaps a heading
		t.Errorf("%d lines for %d problems", len(lines), len(want))
	}
	if strings.Contains(said, "goroutine") || strings.Contains(said, "panic") {
		t.Error("it shows a stack trace")
	}
	if t.Failed() {
		t.Logf("it said:\n%s", said)
	}
}
