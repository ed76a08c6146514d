// Package fleet runs Twinreel's programs as a user would: as processes of their own, set up by environment variables
// alone, each with no more credentials than it needs.
package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/stack"
)

// The programs, by the names of their binaries.
const (
	Ingress       = "ingress"
	WorkerPrimary = "worker-primary"
	WorkerBackup  = "worker-backup"
	Reconciler    = "reconciler"
)

// drainPatience is how long a program may take to end after SIGTERM: its default drain time-out, and some more.
const drainPatience = 40 * time.Second

// Config says what the fleet works on.
type Config struct {
	// Bin is the folder of the programs' binaries.
	Bin string
	// Dir is an existing folder for logs and home folders.
	Dir   string
	World stack.World
	// WebhookSecret signs the webhooks of source "default".
	WebhookSecret string
	// Env is set for every program, over what the fleet sets by itself: name to value.
	Env map[string]string
}

// Fleet is a set of running programs. Its methods may be called from several goroutines.
type Fleet struct {
	cfg Config

	apiToken string // of the record API

	mu       sync.Mutex
	programs []*Program
	started  map[string]int
	auditKey string // made when it is first needed
}

// New makes a fleet in which nothing runs yet.
func New(cfg Config) (*Fleet, error) {
	if err := os.MkdirAll(filepath.Join(cfg.Dir, "home"), 0o700); err != nil {
		return nil, fmt.Errorf("make the programs' folder: %w", err)
	}
	return &Fleet{cfg: cfg, apiToken: rand.Text(), started: make(map[string]int)}, nil
}

// Use lets all that is started from now on come from another folder of binaries.
func (f *Fleet) Use(bin string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cfg.Bin = bin
}

// Start starts one more instance of a program (of the reconciler: `reconciler run`), with added variables (name to value, over all others), and returns at
// once: it may not be ready yet, nor ever become so.
func (f *Fleet) Start(program string, env map[string]string) (*Program, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started[program]++
	p, err := f.newProgram(program, f.started[program], env)
	if err != nil {
		return nil, err
	}
	if err := p.start(); err != nil {
		return nil, err
	}
	f.programs = append(f.programs, p)
	return p, nil
}

// StartAll provisions NATS, starts one instance of each program that a recording passes through, and waits until all are
// ready. It returns them in the order ingress, worker-primary, worker-backup. StartReconciler starts the one beside them.
func (f *Fleet) StartAll(ctx context.Context) (ingress, primary, backup *Program, err error) {
	if err := f.Provision(ctx); err != nil {
		return nil, nil, nil, err
	}
	var all [3]*Program
	for i, name := range []string{Ingress, WorkerPrimary, WorkerBackup} {
		if all[i], err = f.Start(name, nil); err != nil {
			return nil, nil, nil, err
		}
	}
	for _, p := range all {
		if err := p.Ready(ctx); err != nil {
			return nil, nil, nil, err
		}
	}
	return all[0], all[1], all[2], nil
}

// Programs are all instances that were started, in that order, whether they still run or not.
func (f *Fleet) Programs() []*Program {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*Program(nil), f.programs...)
}

// Close stops every program (SIGTERM), ingress first and all at the same time, and waits for their ends. A program that
// does not end within its drain time-out is killed, which is an error, as is one that ends with another code than 0.
func (f *Fleet) Close() error {
	programs := f.Programs()
	errs := make([]error, len(programs))
	var wg sync.WaitGroup
	for i, p := range programs {
		wg.Go(func() { errs[i] = p.Stop() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
