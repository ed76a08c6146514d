package fleet_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// start starts a stack that is closed when the test ends.
func start(t *testing.T) *stack.Stack {
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
	s, err := stack.Start(t.Context(), set)
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

// open makes a fleet in a world of its own; it is closed when the test ends.
func open(t *testing.T, s *stack.Stack) (*fleet.Fleet, stack.World) {
	t.Helper()
	w, err := s.NewWorld(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f, err := fleet.New(fleet.Config{Bin: testenv.Need(t, testenv.Bin), Dir: t.TempDir(), World: w, WebhookSecret: "a secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f, w
}

// TestAFleet runs fleets in worlds of one stack.
func TestAFleet(t *testing.T) {
	s := start(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, *stack.Stack)
	}{
		{"waits unready until provisioned, and survives every end", waitsAndSurvives},
		{"ends with 2 for a bad setting, and names the variable", refusesBadSettings},
		{"has no more credentials than each program needs", hasLeastCredentials},
		{"tells the exit codes of commands", tellsExitCodes},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}

// started starts a program and fails where that is not possible.
func started(t *testing.T, f *fleet.Fleet, program string, env map[string]string) *fleet.Program {
	t.Helper()
	p, err := f.Start(program, env)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// waitFor waits until the condition holds.
func waitFor(t *testing.T, what string, holds func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func waitsAndSurvives(t *testing.T, s *stack.Stack) {
	f, _ := open(t, s)
	ctx := t.Context()
	programs := []*fleet.Program{
		started(t, f, fleet.Ingress, nil), started(t, f, fleet.WorkerPrimary, nil), started(t, f, fleet.WorkerBackup, nil),
		started(t, f, fleet.WorkerBackup, nil), started(t, f, fleet.Reconciler, nil),
	}
	for _, p := range programs {
		waitFor(t, p.Name+" says that it waits for its streams", func(ctx context.Context) bool {
			ready, body, err := p.Readyz(ctx)
			return err == nil && !ready && strings.Contains(string(body), `"ok":false`)
		})
	}
	if err := f.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		if err := p.Ready(ctx); err != nil {
			t.Fatal(err)
		}
	}
	killed, drained := programs[2], programs[1]
	if err := errors.Join(killed.Kill(), killed.Start(), killed.Ready(ctx), drained.Restart(ctx)); err != nil {
		t.Fatal(err)
	}
	if peak := killed.PeakRSS(); peak < 5<<20 {
		t.Errorf("%s had at most %d bytes", killed.Name, peak)
	}
	if status, err := f.Record(ctx, programs[4], "rec-of-nobody"); err != nil || status != "unknown" {
		t.Errorf("the record API says %q, %v", status, err)
	}
	m, err := programs[0].Metrics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if m.Sum("twinreel_build_info") != 1 {
		t.Errorf("ingress has no build info among %d metrics", len(m))
	}
}

func refusesBadSettings(t *testing.T, s *stack.Stack) {
	f, _ := open(t, s)
	for _, program := range []string{fleet.Ingress, fleet.WorkerPrimary, fleet.WorkerBackup} {
		p := started(t, f, program, map[string]string{"TWINREEL_DRAIN_TIMEOUT": "soon", "TWINREEL_LOG_LEVEL": "loud"})
		waitFor(t, p.Name+" ends", func(context.Context) bool { return !p.Running() })
		for _, name := range []string{"TWINREEL_DRAIN_TIMEOUT", "TWINREEL_LOG_LEVEL"} {
			if p.ExitCode() != 2 || !strings.Contains(p.Tail(), name) {
				t.Errorf("%s: exit code %d, log %q, want 2 and %s", p.Name, p.ExitCode(), p.Tail(), name)
			}
		}
		// It is over, as intended: the fleet shall not complain of it at its end.
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	}
}

func hasLeastCredentials(t *testing.T, s *stack.Stack) {
	f, w := open(t, s)
	secrets := map[string]string{
		"S3 writer": w.S3.Writer.Secret, "S3 reader": w.S3.Reader.Secret, "Azure writer": w.Azure.WriterSAS,
		"Azure reader": w.Azure.ReaderSAS, "webhook": "a secret", "S3 owner": w.S3.Root.Secret, "Azure account": w.Azure.Key,
		"NATS owner": w.NATS.User, "record API": f.APIToken(), // test accounts' users have one password; in their names they differ
	}
	for program, login := range w.NATS.Logins {
		secrets["NATS "+program] = login.User
	}
	for program, want := range map[string][]string{
		fleet.Ingress: {"NATS ingress", "webhook"}, fleet.WorkerPrimary: {"NATS worker-primary", "S3 writer"},
		fleet.WorkerBackup: {"Azure writer", "NATS worker-backup"}, fleet.Reconciler: {"Azure account", "NATS reconciler", "S3 reader", "audit key", "record API"},
		"a command": {"Azure account", "NATS reconciler", "S3 reader"},
	} {
		environ := f.Environ()
		if program != "a command" {
			p := started(t, f, program, nil)
			environ = p.Environ()
			if err := p.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		secrets["audit key"] = f.AuditKey()
		var has []string
		for name, secret := range secrets {
			if secret != "" && slices.ContainsFunc(environ, func(line string) bool { return strings.HasSuffix(line, "="+secret) }) {
				has = append(has, name)
			}
		}
		if slices.Sort(has); !slices.Equal(has, want) {
			t.Errorf("%s has the secrets %v, want %v", program, has, want)
		}
	}
}

func tellsExitCodes(t *testing.T, s *stack.Stack) {
	f, _ := open(t, s)
	ctx := t.Context()
	r, err := f.Command(ctx, "no-such-command")
	if err != nil || r.Code != 2 || r.Stderr == "" {
		t.Errorf("an unknown command: %+v, %v", r, err)
	}
	if err := f.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	letters, err := f.Letters(ctx)
	if err != nil || len(letters) != 0 {
		t.Errorf("letters %v, %v", letters, err)
	}
	tiers, err := f.Tiers(ctx)
	if err != nil || len(tiers) != 2 || !tiers[0].Idle() {
		t.Errorf("tiers %v, %v", tiers, err)
	}
	if status, err := f.Status(ctx, "rec-of-nobody"); err != nil || status != "unknown" {
		t.Errorf("status %q, %v", status, err)
	}
}
