package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/process"
)

// ErrNotRunning is what is said of a server that was to be frozen or thawed and does not run.
var ErrNotRunning = errors.New("not running")

// Server is one server of the stack: it can be ended in every way and started again on the same port and data. Its
// methods may be called from several goroutines.
type Server struct {
	// Name names it in messages.
	Name string
	// Addr is its host:port.
	Addr string

	spec  process.Spec
	ready func(context.Context) error

	mu   sync.Mutex
	proc *process.Process
}

// Start starts the server, on the port and the data that it had, and waits until it answers. Starting one that runs
// does nothing.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil && s.proc.Running() {
		return nil
	}
	proc, err := process.Start(s.spec)
	if err != nil {
		return err
	}
	s.proc = proc
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return proc.Await(ctx, s.ready)
}

// Stop ends the server by SIGTERM: it may finish and write what it holds.
func (s *Server) Stop() error {
	return s.with(func(p *process.Process) error { return p.Stop(20 * time.Second) })
}

// Kill ends the server at once. Azurite loses writes that it acknowledged when killed: stop or freeze that one, unless
// all is over anyway.
func (s *Server) Kill() error { return s.with((*process.Process).Kill) }

// Freeze stops the server where it stands; connections stay open and nobody answers.
func (s *Server) Freeze() error { return s.running((*process.Process).Freeze) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() error { return s.running((*process.Process).Thaw) }

// setEnv sets a variable of the server's environment, from its next start on.
func (s *Server) setEnv(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spec.Env = slices.DeleteFunc(slices.Clone(s.spec.Env), func(line string) bool { return strings.HasPrefix(line, name+"=") })
	s.spec.Env = append(s.spec.Env, name+"="+value)
}

// Log is the file that the server's output goes to.
func (s *Server) Log() string { return s.spec.Log }

// PID is the server's process ID; 0 where it does not run.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil || !s.proc.Running() {
		return 0
	}
	return s.proc.PID()
}

// with does something to the process; a server that never ran has nothing to be ended.
func (s *Server) with(do func(*process.Process) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return nil
	}
	return do(s.proc)
}

// running does something to the process, which must run.
func (s *Server) running(do func(*process.Process) error) error {
	return s.with(func(p *process.Process) error {
		if !p.Running() {
			return fmt.Errorf("%s: %w", s.Name, ErrNotRunning)
		}
		return do(p)
	})
}
