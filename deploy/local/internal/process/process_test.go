package process_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/process"
)

// shell starts a script; it is killed when the test ends.
func shell(t *testing.T, script string) *process.Process {
	t.Helper()
	p, err := process.Start(process.Spec{
		Name: "script", Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")},
		Log: filepath.Join(t.TempDir(), "log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// says waits until the child has written text.
func says(t *testing.T, p *process.Process, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := p.Await(ctx, func(context.Context) error {
		if strings.Contains(p.Tail(), text) {
			return nil
		}
		return errors.New("it has not said " + text)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// ended waits for the child's end.
func ended(t *testing.T, p *process.Process) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the child has not ended")
	}
}

func TestStopLetsTheChildFinish(t *testing.T) {
	p := shell(t, `trap 'echo finished; exit 0' TERM; echo ready; while :; do sleep 0.05; done`)
	says(t, p, "ready")
	if err := p.Stop(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if p.Running() || p.ExitCode() != 0 || !strings.Contains(p.Tail(), "finished") {
		t.Errorf("running %t, exit code %d, log %q", p.Running(), p.ExitCode(), p.Tail())
	}
}

func TestStopKillsAChildThatDoesNotEndAndSaysSo(t *testing.T) {
	p := shell(t, `trap '' TERM; echo ready; while :; do sleep 0.05; done`)
	says(t, p, "ready")
	err := p.Stop(100 * time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "did not end within") || !strings.Contains(err.Error(), "ready") {
		t.Errorf("error %v, want one that says so and shows the log", err)
	}
	if p.Running() {
		t.Error("it still runs")
	}
}

func TestKillEndsTheWholeGroup(t *testing.T) {
	p := shell(t, `sh -c 'echo child $$; exec sleep 1000' & wait`)
	says(t, p, "child ")
	pid := strings.Fields(p.Tail())[1]
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for alive(pid) {
		if time.Now().After(deadline) {
			t.Fatal("the child's child outlived it")
		}
	}
}

// alive tells whether the process exists and is no zombie.
func alive(pid string) bool {
	status, err := os.ReadFile("/proc/" + pid + "/status")
	return err == nil && !strings.Contains(string(status), "State:\tZ")
}

func TestAFrozenChildCanBeThawedAndStopped(t *testing.T) {
	// A shell that starts children would now and then be caught in a vfork, which does not show as stopped.
	p := shell(t, `sleep 1000 & trap 'exit 0' TERM; echo ready; wait`)
	says(t, p, "ready")
	if err := p.Freeze(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stopped := func(context.Context) error {
		status, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID()) + "/status")
		if err == nil && !strings.Contains(string(status), "State:\tT") {
			err = errors.New("it is not stopped")
		}
		return err
	}
	if err := p.Await(ctx, stopped); err != nil {
		t.Fatal(err)
	}
	// A stop of a frozen child must not wait for its whole patience.
	if err := p.Stop(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if p.ExitCode() != 0 {
		t.Errorf("exit code %d, want 0", p.ExitCode())
	}
}

func TestAwaitFailsWithTheLogWhenTheChildEnds(t *testing.T) {
	p := shell(t, `echo the port is taken; exit 7`)
	err := p.Await(t.Context(), func(context.Context) error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "the port is taken") || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("error %v, want one with the exit code and the log", err)
	}
	ended(t, p)
	if p.ExitCode() != 7 || p.Err() == nil {
		t.Errorf("exit code %d, error %v", p.ExitCode(), p.Err())
	}
}

func TestAwaitFailsWithTheLastReasonWhenTimeIsUp(t *testing.T) {
	p := shell(t, `exec sleep 1000`)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := p.Await(ctx, func(context.Context) error { return errors.New("still loading") })
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "still loading") {
		t.Errorf("error %v, want a deadline that tells the last reason", err)
	}
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	_, err := process.Start(process.Spec{Name: "nothing", Path: "/nowhere/nothing", Log: filepath.Join(t.TempDir(), "log")})
	if err == nil || !strings.Contains(err.Error(), "/nowhere/nothing") {
		t.Errorf("error %v, want one that names the file", err)
	}
}

func TestTailBeginsAtALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte(strings.Repeat("a long line of a log\n", 1000)+"the end\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := process.Tail(path)
	if !strings.HasPrefix(got, "a long line") || !strings.HasSuffix(got, "\nthe end") || len(got) > 2<<10 {
		t.Errorf("tail is %d bytes: %.30q … %.30q", len(got), got, got[len(got)-30:])
	}
}
