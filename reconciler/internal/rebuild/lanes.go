package rebuild

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
)

// Bounds of what is done at a time.
const (
	sideBySide = 16
	waiting    = 64 // in each lane
)

// errEnded ends lanes without a failure.
var errEnded = errors.New("ended")

// lanes do things side by side, those of one key in order. The first failure ends all.
type lanes struct {
	ctx   context.Context // ends with the first failure
	fail  context.CancelCauseFunc
	seed  maphash.Seed
	queue [sideBySide]chan func(context.Context) error
	all   sync.WaitGroup
}

func newLanes(ctx context.Context) *lanes {
	l := &lanes{seed: maphash.MakeSeed()}
	l.ctx, l.fail = context.WithCancelCause(ctx)
	for i := range l.queue {
		lane := make(chan func(context.Context) error, waiting)
		l.queue[i] = lane
		l.all.Go(func() {
			for do := range lane {
				if l.ctx.Err() != nil {
					continue // only emptied
				}
				if err := do(l.ctx); err != nil {
					l.fail(err)
				}
			}
		})
	}
	return l
}

// give adds what is to be done for the key. It waits while its lane is full.
func (l *lanes) give(key string, do func(context.Context) error) error {
	select {
	case l.queue[maphash.String(l.seed, key)%sideBySide] <- do:
		return nil
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	}
}

// end waits until all is done, and returns the first failure: of what was done, else err.
func (l *lanes) end(err error) error {
	for _, lane := range l.queue {
		close(lane)
	}
	l.all.Wait()
	if cause := context.Cause(l.ctx); cause != nil && !errors.Is(cause, errEnded) {
		err = cause
	}
	l.fail(errEnded)
	return err
}
