package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/twinreel/twinreel/deploy/local/natsserver"
)

// Result is what a command of the reconciler gave.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Command runs the operator's command line (`reconciler …`) to its end. Another exit code than 0 is no error here.
func (f *Fleet) Command(ctx context.Context, args ...string) (Result, error) {
	return f.CommandWith(ctx, nil, args...)
}

// CommandWith is Command with other settings than the fleet's, KEY=value.
func (f *Fleet) CommandWith(ctx context.Context, env []string, args ...string) (Result, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(f.cfg.Bin, Reconciler), args...)
	own := map[string]string{}
	if len(args) > 0 && args[0] == "provision" {
		own = f.Provisioner()
	}
	cmd.Env, cmd.Dir = append(f.environ(Reconciler, own), env...), f.cfg.Dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return Result{}, fmt.Errorf("run reconciler %s: %w", strings.Join(args, " "), err)
	}
	return Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}, nil
}

// Environ is the environment that the operator's command line needs, KEY=value.
func (f *Fleet) Environ() []string { return f.environ(Reconciler) }

// Provisioner is what Environ is overlaid with for `reconciler provision`, name to value: it has a NATS user of its own.
func (f *Fleet) Provisioner() map[string]string {
	login := f.cfg.World.NATS.Logins[natsserver.Provisioner]
	return map[string]string{"TWINREEL_NATS_USER": login.User, "TWINREEL_NATS_PASSWORD": login.Password}
}

// Provision creates the streams, consumers and buckets that the programs wait for.
func (f *Fleet) Provision(ctx context.Context) error {
	_, err := f.succeed(ctx, "provision")
	return err
}

// Letter is an open dead letter, as `dlq list -o json` shows it.
type Letter struct {
	Tier           string `json:"tier"`
	Sequence       uint64 `json:"sequence"`
	RecordingID    string `json:"recordingId"`
	IdempotencyKey string `json:"idempotencyKey"`
	Reason         string `json:"reason"`
	Error          string `json:"error"`
	Attempts       int    `json:"attempts"`
	DeadAt         string `json:"deadAt"`
}

// Letters lists the open dead letters.
func (f *Fleet) Letters(ctx context.Context) ([]Letter, error) {
	var letters []Letter
	err := f.decode(ctx, &letters, "dlq", "list", "-o", "json")
	return letters, err
}

// Tier is a tier's state of work, as `tiers -o json` shows it.
type Tier struct {
	Tier         string `json:"tier"`
	State        string `json:"state"`
	Backlog      int    `json:"backlog"`
	Backfill     int    `json:"backfill"`
	InFlight     int    `json:"inFlight"`
	Redelivering int    `json:"redelivering"`
	DeadLetters  int    `json:"deadLetters"`
}

// Idle tells whether the tier has nothing left to do.
func (t Tier) Idle() bool { return t.Backlog+t.Backfill+t.InFlight == 0 }

// Tiers asks for both tiers' state of work.
func (f *Fleet) Tiers(ctx context.Context) ([]Tier, error) {
	var tiers []Tier
	err := f.decode(ctx, &tiers, "tiers", "-o", "json")
	return tiers, err
}

// decode runs a command that must succeed and reads its JSON.
func (f *Fleet) decode(ctx context.Context, into any, args ...string) error {
	out, err := f.succeed(ctx, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("read what reconciler %s printed: %w", strings.Join(args, " "), err)
	}
	return nil
}

// succeed runs a command that must end with 0 and returns what it printed.
func (f *Fleet) succeed(ctx context.Context, args ...string) (string, error) {
	r, err := f.Command(ctx, args...)
	if err != nil {
		return "", err
	}
	if r.Code != 0 {
		return "", fmt.Errorf("reconciler %s: exit code %d: %s", strings.Join(args, " "), r.Code, strings.TrimSpace(r.Stderr))
	}
	return r.Stdout, nil
}

// Status is what a recording's record says of it: pending, partial, completed, failed …; "unknown" where there is none.
func (f *Fleet) Status(ctx context.Context, key string) (string, error) {
	r, err := f.Command(ctx, "recording", "show", key, "-o", "json")
	if err != nil {
		return "", err
	}
	if r.Code == 1 {
		return "unknown", nil
	}
	var record struct{ Status string }
	if err := json.Unmarshal([]byte(r.Stdout), &record); err != nil {
		return "", fmt.Errorf("read what reconciler recording show %s printed (exit code %d): %w", key, r.Code, err)
	}
	return record.Status, nil
}
