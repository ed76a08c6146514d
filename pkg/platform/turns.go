package platform

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"golang.org/x/time/rate"

	"github.com/twinreel/twinreel/pkg/fault"
)

// Turns spaces requests evenly over all workers.
type Turns interface {
	// Turn takes a turn at what name stands for, of which there are perSecond. wait is 0 when it is had, else how long to
	// wait before asking again. An error means that nobody knows.
	Turn(ctx context.Context, name string, perSecond int) (wait time.Duration, err error)
}

// Bounds of waiting for a turn.
const (
	maxTurn = 10 * time.Second // beyond it the recording goes back to the queue
	share   = 10               // while nobody knows, each process takes rate ÷ share: that many processes stay within it
)

// Turn waits until the source's platform may be asked once more. A wait of more than ten seconds is a fault of class
// Throttled, at once.
func (a *API) Turn(ctx context.Context, source string) error {
	ends := a.now().Add(maxTurn)
	for {
		wait, err := a.turns.Turn(ctx, source, a.rate)
		if err != nil {
			return a.turnAlone(ctx, source)
		}
		if wait <= 0 {
			return nil
		}
		wait += rand.N(wait/4 + 1) // or all that wait come back together
		if a.now().Add(wait).After(ends) {
			return busy(wait)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// turnAlone waits for a turn out of this process's own share.
func (a *API) turnAlone(ctx context.Context, source string) error {
	turn := a.limiter(source).Reserve()
	if wait := turn.Delay(); wait > maxTurn {
		turn.Cancel()
		return busy(wait)
	}
	err := sleep(ctx, turn.Delay())
	if err != nil {
		turn.Cancel()
	}
	return err
}

func (a *API) limiter(source string) *rate.Limiter {
	a.mu.Lock()
	defer a.mu.Unlock()
	l, ok := a.alone[source]
	if !ok {
		l = rate.NewLimiter(rate.Limit(float64(a.rate)/share), 1)
		a.alone[source] = l
	}
	return l
}

const opTurn = "wait for a turn at the platform"

func busy(wait time.Duration) error {
	f := fault.New(fault.Throttled, fault.Platform, opTurn, errors.New("TWINREEL_PLATFORM_RATE is used up"))
	f.RetryAfter = wait
	return f
}

// sleep waits, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
	if err := ctx.Err(); err != nil {
		return fault.New(fault.ClassOf(err), fault.Platform, opTurn, err)
	}
	return nil
}
