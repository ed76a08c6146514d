// Package process runs the children of the one-machine stack: servers and Twinreel's own programs.
//
// Each child has a process group of its own, so that a Ctrl-C in the terminal reaches the parent alone and the
// children are ended in order; each dies with its parent, however that ends; each writes its output to a file.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Spec is what to run.
type Spec struct {
	// Name names the child in messages.
	Name string
	// Path is the program's file; Argv0, if not empty, is the name that it sees itself run under.
	Path, Argv0 string
	Args        []string
	// Env is the child's whole environment, KEY=value.
	Env []string
	// Dir is its working folder; empty: the parent's.
	Dir string
	// Log is the file that its output is appended to.
	Log string
}

// Process is a running, or ended, child.
type Process struct {
	spec Spec
	cmd  *exec.Cmd
	done chan struct{}

	mu     sync.Mutex
	frozen bool
	err    error
}

// Start runs the child. It returns once the child runs, not once it is ready.
func Start(s Spec) (*Process, error) {
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", s.Name, err)
	}
	cmd := exec.Command(s.Path, s.Args...)
	if s.Argv0 != "" {
		cmd.Args[0] = s.Argv0
	}
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = s.Env, s.Dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &Process{spec: s, cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer log.Close()
		p.run(started)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s (%s): %w", s.Name, s.Path, err)
	}
	return p, nil
}

// run keeps its thread from start to end: Pdeathsig is sent when the *thread* that started the child ends.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	err := p.cmd.Wait()
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	close(p.done)
}

// PID is the child's process ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is the file that the child's output goes to.
func (p *Process) Log() string { return p.spec.Log }

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running tells whether the child has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Err says how the child ended: nil for exit code 0, else what [exec.Cmd.Wait] said. It is nil while the child runs.
func (p *Process) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// ExitCode is the code that the child ended with; -1 while it runs or where a signal ended it.
func (p *Process) ExitCode() int {
	if p.Running() {
		return -1
	}
	return p.cmd.ProcessState.ExitCode()
}

// Signal sends sig to the child's group. A child that has ended is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	if !p.Running() {
		return nil
	}
	if err := syscall.Kill(-p.PID(), sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s to %s: %w", sig, p.spec.Name, err)
	}
	return nil
}

// Freeze stops the child where it stands (SIGSTOP), as a machine that hangs would; Thaw lets it go on.
func (p *Process) Freeze() error { return p.setFrozen(true, syscall.SIGSTOP) }

// Thaw lets a frozen child go on.
func (p *Process) Thaw() error { return p.setFrozen(false, syscall.SIGCONT) }

func (p *Process) setFrozen(frozen bool, sig syscall.Signal) error {
	p.mu.Lock()
	p.frozen = frozen
	p.mu.Unlock()
	return p.Signal(sig)
}

// Kill ends the child at once (SIGKILL) and waits for its end.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// Stop asks the child to end (SIGTERM) and waits. A child that has not ended within patience is killed, which is an
// error.
func (p *Process) Stop(patience time.Duration) error {
	p.mu.Lock()
	frozen := p.frozen
	p.mu.Unlock()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if frozen {
		if err := p.Thaw(); err != nil {
			return err
		}
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	}
	return errors.Join(fmt.Errorf("%s did not end within %s of SIGTERM: killed; its last lines:\n%s",
		p.spec.Name, patience, p.Tail()), p.Kill())
}

// Await calls ready every 20 ms until it returns nil. It fails when the child ends or ctx does, with what ready said
// last and the last lines of the child's log.
func (p *Process) Await(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		last := ready(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready (%v); its last lines:\n%s", p.spec.Name, p.Err(), p.Tail())
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready in time (%w); it last said: %v; its last lines:\n%s",
				p.spec.Name, context.Cause(ctx), last, p.Tail())
		}
	}
}
