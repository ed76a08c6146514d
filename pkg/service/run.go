package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/telemetry"
)

// Exit codes of the programs.
const (
	ExitOK     = 0
	ExitFailed = 1 // it could not run, or could not stop in time
	ExitUsage  = 2 // wrong flags or settings
)

// overtime is how long after the drain time-out Run may take to return.
const overtime = 2 * time.Second

// Run is a program's own work. It returns soon after ctx ends, having finished or handed back what it holds before
// s.Drain() ends. It returns nil or ctx.Err() when all went well.
type Run func(ctx context.Context, s *Service) error

// Load fills the program's settings and returns the logger that they ask for, which also hears later warnings about
// secrets' files. c is part of what into points to. The error is a settings.Problems.
func Load(into any, c *Config, lookup func(string) (string, bool), stderr io.Writer) (*zap.Logger, error) {
	logger := sync.OnceValue(func() *zap.Logger { return telemetry.NewLogger(c.Config, stderr) })
	err := settings.Load(into, lookup, settings.OnWarning(func(variable, text string) {
		logger().Warn("a secret could not be read again", zap.String("variable", variable), zap.String("error", text))
	}))
	if err != nil {
		return nil, err
	}
	return logger(), nil
}

// Serve runs the program in the foreground and returns its exit code. It serves health and metrics from before run
// starts until after it has ended. SIGTERM or SIGINT ends run's context and, after the drain time-out, Drain's; a second
// one returns at once. When Serve returns the process should end: a run that overstayed is still there.
func Serve(program string, c Config, log *zap.Logger, run Run) int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	drain, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	s := newService(drain, program, log)
	a, err := startAdmin(c.AdminAddr, s)
	if err != nil {
		log.Error("cannot start", zap.String("error", fault.Text(err)))
		return ExitFailed
	}
	defer a.stop()
	log.Info("started", zap.String("program", program), zap.String("version", s.Version), zap.String("instance", s.Instance),
		zap.Stringer("admin", a.addr))
	err = s.supervise(run, c.DrainTimeout, giveUp, signals)
	if err != nil {
		log.Error("ended", zap.String("program", program), zap.String("error", fault.Text(err)))
		return ExitFailed
	}
	log.Info("ended", zap.String("program", program))
	return ExitOK
}

// supervise starts run and sees it through: to its own end, or through the signals and time-outs of a stop.
func (s *Service) supervise(run Run, timeout time.Duration, giveUp func(), signals <-chan os.Signal) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, s) }()
	go s.watch(ctx, s.Log)
	var drained, overdue <-chan time.Time
	for {
		select {
		case err := <-ended:
			if ctx.Err() != nil && errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		case sig := <-signals:
			if ctx.Err() != nil {
				return fmt.Errorf("a second signal (%v): ended at once", sig)
			}
			s.Log.Info("stopping", zap.Stringer("signal", sig), zap.Duration("drain_timeout", timeout))
			s.stopping.Store(true)
			stop()
			drained, overdue = time.After(timeout), time.After(timeout+overtime)
		case <-drained:
			giveUp()
		case <-overdue:
			return fmt.Errorf("still not stopped %v after the signal: ended with work in hand, which others take over", timeout+overtime)
		}
	}
}
