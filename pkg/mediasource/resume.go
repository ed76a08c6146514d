package mediasource

import (
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/twinreel/twinreel/pkg/fault"
)

// Bounds of going on where an answer broke off.
const (
	maxIdle    = 3                      // requests in a row that bring no byte
	maxAnswers = 16                     // requests beside the first for one range, with or without progress
	resumeWait = 100 * time.Millisecond // before the second request in a row; doubled before each that follows
)

// errEarly is why a range is not taken whose host says that it is at its end when it is not.
var errEarly = errors.New("a range ended")

// budget bounds the requests that one range may cost, so that no host keeps us busy with crumbs.
type budget struct {
	mark    int64 // where counting began
	answers int   // requests since
	idle    int   // failures since the last byte
	waits   *backoff.ExponentialBackOff
}

// progress notes that bytes came, up to off, where step are asked for at once.
func (b *budget) progress(off, step int64) {
	b.idle, b.waits = 0, nil
	if off-b.mark >= step {
		b.mark, b.answers = off, 0
	}
}

// spend counts a request.
func (b *budget) spend(op string) error {
	if b.answers++; b.answers > maxAnswers {
		return fault.New(fault.Unavailable, fault.Source, op, fmt.Errorf("a range came in more than %d pieces", maxAnswers))
	}
	return nil
}

// wait returns how long the next request should wait.
func (b *budget) wait() time.Duration {
	if b.idle < 2 {
		return 0
	}
	if b.waits == nil {
		b.waits = backoff.NewExponentialBackOff(backoff.WithInitialInterval(resumeWait), backoff.WithMultiplier(2))
	}
	return b.waits.NextBackOff()
}

// again says whether the stream may go on after err by another request: nil if so, once it is time. What the host
// answered on purpose is final, and so is a stall, which has lasted long enough.
func (s *stream) again(err error) error {
	if err == nil || s.etag == "" || s.off >= s.end || s.ctx.Err() != nil || !brokeOff(err) {
		return err
	}
	if s.idle++; s.idle > maxIdle || s.answers >= maxAnswers {
		return err
	}
	s.broken = max(s.broken, s.off+s.left)
	s.drop()
	return s.pause(s.wait())
}

// brokeOff reports whether err is of a connection or of an answer that ended too early.
func brokeOff(err error) bool {
	return errors.Is(err, errEarly) || fault.Is(err, fault.Unavailable, fault.Source) && fault.StatusOf(err) == 0
}

// pause waits, unless the stream ends before.
func (s *stream) pause(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-s.ctx.Done():
		return failed(s.ctx, s.op, s.ctx.Err())
	}
}
