// Package story plays Twinreel's main job on one machine, for people to watch and for tests to assert: a platform that
// sends, two clouds that fill up, one of them failing half-way, and an independent reader who says what came of it.
package story

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
)

// Stage is everything that runs: servers, programs and platform.
type Stage struct {
	Stack    *stack.Stack
	Fleet    *fleet.Fleet
	Platform *platform.Platform
	Ingress  *fleet.Program
	Primary  *fleet.Program
	Backup   *fleet.Program
	// Reconciler serves the record API, and takes care of dead letters whose copy is elsewhere.
	Reconciler *fleet.Program
	// Secret signs the platform's webhooks.
	Secret string
}

// StageConfig says how to set a stage.
type StageConfig struct {
	Set tools.Set
	// Bin is the folder of the programs' binaries.
	Bin string
	// Env is set for every program, name to value.
	Env map[string]string
	// Platform sets up the platform; its secret is chosen here.
	Platform platform.Config
}

// Open starts everything and waits until it is ready. Where that fails, what was started is ended again.
func Open(ctx context.Context, cfg StageConfig) (s *Stage, err error) {
	s = &Stage{Secret: rand.Text()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.Stack, err = stack.Start(ctx, cfg.Set); err != nil {
		return s, err
	}
	s.Fleet, err = fleet.New(fleet.Config{
		Bin: cfg.Bin, Dir: filepath.Join(s.Stack.Dir, "programs"), World: s.Stack.World(), WebhookSecret: s.Secret, Env: cfg.Env,
	})
	if err != nil {
		return s, err
	}
	if s.Ingress, s.Primary, s.Backup, err = s.Fleet.StartAll(ctx); err != nil {
		return s, err
	}
	if s.Reconciler, err = s.Fleet.StartReconciler(ctx); err != nil {
		return s, err
	}
	cfg.Platform.Secret, cfg.Platform.IngressURL = s.Secret, s.Ingress.URL()
	if s.Platform, err = platform.New(cfg.Platform); err != nil {
		return s, err
	}
	return s, nil
}

// Close ends the platform, drains the programs, ends the servers and removes everything.
func (s *Stage) Close() error {
	var errs []error
	if s.Platform != nil {
		errs = append(errs, s.Platform.Close())
	}
	if s.Fleet != nil {
		errs = append(errs, s.Fleet.Close())
	}
	if s.Stack != nil {
		errs = append(errs, s.Stack.Close())
	}
	return errors.Join(errs...)
}

// Settle waits until both tiers have nothing left to do: no backlog and nothing in flight. It fails when ctx ends.
func (s *Stage) Settle(ctx context.Context) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		tiers, err := s.Fleet.Tiers(ctx)
		if err != nil {
			return err
		}
		idle := len(tiers) > 0
		for _, t := range tiers {
			idle = idle && t.Idle()
		}
		if idle {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait until both tiers have nothing left to do: %w; they say %+v", context.Cause(ctx), tiers)
		}
	}
}
