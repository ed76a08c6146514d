package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/process"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
)

// Program is one instance of a program. It can be ended in every way and started again, with the same environment and
// the same ports. Its methods may be called from several goroutines.
type Program struct {
	// Name is the program's and a number: ingress-1.
	Name string
	// Admin is the address of its health and metrics.
	Admin string
	// Listen is the address of an ingress's webhooks; empty for the others.
	Listen string
	// API is the address of a reconciler's record API; empty for the others.
	API string

	spec process.Spec

	mu     sync.Mutex
	proc   *process.Process
	killed bool
	asked  bool // to end, by this package
	peak   int64
}

// newProgram chooses the addresses and puts the environment together.
func (f *Fleet) newProgram(program string, n int, env map[string]string) (*Program, error) {
	admin, err := stack.FreeAddr()
	if err != nil {
		return nil, err
	}
	p := &Program{Name: fmt.Sprintf("%s-%d", program, n), Admin: admin}
	own := map[string]string{"TWINREEL_ADMIN_ADDR": admin}
	var args []string
	switch program {
	case Ingress:
		if p.Listen, err = stack.FreeAddr(); err != nil {
			return nil, err
		}
		own["TWINREEL_LISTEN_ADDR"] = p.Listen
	case Reconciler:
		args = []string{"run"}
		var more map[string]string
		if p.API, more, err = f.daemon(); err != nil {
			return nil, err
		}
		maps.Copy(own, more)
	}
	maps.Copy(own, env)
	p.spec = process.Spec{
		Name: p.Name, Path: filepath.Join(f.cfg.Bin, program), Args: args, Env: f.environ(program, own), Dir: f.cfg.Dir,
		Log: filepath.Join(f.cfg.Dir, p.Name+".log"),
	}
	return p, nil
}

// URL is where an ingress takes webhooks: scheme://host:port.
func (p *Program) URL() string { return "http://" + p.Listen }

// Environ is the program's whole environment, KEY=value.
func (p *Program) Environ() []string { return append([]string(nil), p.spec.Env...) }

// Log is the file that the program logs to, over all its lives.
func (p *Program) Log() string { return p.spec.Log }

// Tail is the end of the log.
func (p *Program) Tail() string { return process.Tail(p.spec.Log) }

func (p *Program) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	proc, err := process.Start(p.spec)
	if err != nil {
		return err
	}
	p.proc, p.killed, p.asked = proc, false, false
	return nil
}

// process is the running or ended process.
func (p *Program) process() *process.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.proc
}

// PID is the program's process ID, as it runs now.
func (p *Program) PID() int { return p.process().PID() }

// Running tells whether the program runs.
func (p *Program) Running() bool { return p.process().Running() }

// Asked tells whether the program, as it was last started, was asked or made to end.
func (p *Program) Asked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// Done is closed when the program, as it runs now, has ended.
func (p *Program) Done() <-chan struct{} { return p.process().Done() }

// ExitCode is what the program ended with; -1 while it runs or where a signal ended it.
func (p *Program) ExitCode() int { return p.process().ExitCode() }

// Ready waits until the program says that it is ready. It fails, with the last lines of the log, when the program or
// ctx ends, or after a minute.
func (p *Program) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return p.process().Await(ctx, func(ctx context.Context) error {
		body, status, err := p.get(ctx, "/readyz")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("/readyz answered %d: %s", status, strings.TrimSpace(string(body)))
		}
		return err
	})
}

// Readyz asks once whether the program is ready, and returns what it said of each check.
func (p *Program) Readyz(ctx context.Context) (ready bool, body []byte, err error) {
	body, status, err := p.get(ctx, "/readyz")
	return status == http.StatusOK, body, err
}

// Kill ends the program at once, as a machine that loses power would.
func (p *Program) Kill() error {
	p.mu.Lock()
	p.killed, p.asked = true, true
	p.mu.Unlock()
	p.notePeak()
	return p.process().Kill()
}

// Stop ends the program by SIGTERM and waits. Another exit code than 0 is an error, unless it was killed before.
func (p *Program) Stop() error {
	p.notePeak()
	p.mu.Lock()
	p.asked = true
	p.mu.Unlock()
	proc := p.process()
	if err := proc.Stop(drainPatience); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := proc.Err(); err != nil && !p.killed {
		return fmt.Errorf("%s ended with %w; its last lines:\n%s", p.Name, err, p.Tail())
	}
	return nil
}

// Start starts the program again after it has ended.
func (p *Program) Start() error {
	if p.Running() {
		return fmt.Errorf("start %s: it runs already", p.Name)
	}
	return p.start()
}

// Restart stops the program (SIGTERM), starts it again and waits until it is ready.
func (p *Program) Restart(ctx context.Context) error {
	if err := errors.Join(p.Stop(), p.start()); err != nil {
		return err
	}
	return p.Ready(ctx)
}

// Freeze stops the program where it stands (SIGSTOP).
func (p *Program) Freeze() error { return p.process().Freeze() }

// Thaw lets it go on.
func (p *Program) Thaw() error { return p.process().Thaw() }

// get asks the program's admin address.
func (p *Program) get(ctx context.Context, path string) (body []byte, status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Admin+path, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("ask %s for %s: %w", p.Name, path, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, 0, fmt.Errorf("ask %s for %s: %w", p.Name, path, err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		return nil, 0, fmt.Errorf("ask %s for %s: %w", p.Name, path, err)
	}
	return body, resp.StatusCode, nil
}
