package mediasource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
)

// version is what all answers that bring one recording have to agree on. It is settled by Open and does not change after.
type version struct {
	source *HTTP
	of     string // the name of the configured source
	url    *url.URL
	op     string // "read media from <host>"

	etag  string // what further requests are pinned to; "" when the first answer is the only one
	total int64  // length of the media, -1 if unknown
	apart bool   // requests side by side want connections of their own: the host speaks HTTP/2
}

// stream reads one stretch of a recording, in order: from one answer, or from one after the other.
type stream struct {
	version
	ctx    context.Context // ends at Close, with the caller's, and when the source stalls
	cancel context.CancelCauseFunc
	stall  *time.Timer

	body io.ReadCloser // of the answer at hand
	left int64         // bytes to come of it, -1 when it ends by itself, 0 when another has to be asked for
	more bool          // it may bring more than left, because no header says how long it is
	off  int64         // the next byte
	end  int64         // where the stretch ends, -1 if unknown
	step int64         // bytes to ask for at once
	budget
	trickle

	broken int64 // where the answer would have ended that broke off
}

// newStream returns a stream under the caller's context.
func newStream(parent context.Context, v version) *stream {
	s := &stream{version: v}
	s.ctx, s.cancel = context.WithCancelCause(parent)
	s.stall = time.AfterFunc(v.source.config.StallTimeout, func() { s.cancel(errStalled) })
	s.stall.Stop()
	return s
}

// Read implements io.Reader. The stall time-out runs only while the source is waited for, not while nobody reads.
func (s *stream) Read(p []byte) (int, error) {
	for {
		if s.left == 0 {
			if s.off >= s.end {
				return 0, io.EOF
			}
			if err := s.again(s.next()); err != nil {
				return 0, err
			}
			continue
		}
		n, err := s.take(p)
		err = s.again(err)
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// take reads from the answer at hand.
func (s *stream) take(p []byte) (int, error) {
	if s.left > 0 && int64(len(p)) > s.left {
		p = p[:s.left]
	}
	s.stall.Reset(s.source.config.StallTimeout)
	asked := time.Now()
	n, err := s.body.Read(p)
	s.stall.Stop()
	if s.slow(n, time.Since(asked), s.source.patience) && err == nil {
		s.cancel(errTrickles)
		return n, failed(s.ctx, s.op, errTrickles)
	}
	if s.off += int64(n); n > 0 {
		s.progress(s.off, s.step)
	}
	if s.left > 0 {
		s.left -= int64(n)
	}
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return n, failed(s.ctx, s.op, err)
	case s.left < 0:
		return n, err
	case s.left == 0:
		return n, s.complete(err != nil)
	case err != nil:
		return n, fault.New(fault.Corrupt, fault.Source, s.op, fmt.Errorf("%w %d bytes early", errEarly, s.left))
	}
	return n, nil
}

// complete ends an answer of which all that is wanted was read, at once: what is left of it would hold a connection, and
// the host's bandwidth. ended says that it is at its end anyway.
func (s *stream) complete(ended bool) error {
	if s.more && !ended {
		s.stall.Reset(s.source.config.StallTimeout)
		n, err := s.body.Read(make([]byte, 1))
		s.stall.Stop()
		switch {
		case n > 0:
			return changed(s.op, "a range brought more than it says")
		case err != nil && !errors.Is(err, io.EOF) && s.ctx.Err() != nil:
			return failed(s.ctx, s.op, err)
		}
	}
	s.drop()
	return nil
}

// drop lets go of the answer at hand.
func (s *stream) drop() {
	if s.body != nil {
		_ = s.body.Close() // nothing is lost by a failure
		s.body = nil
	}
	s.left = 0
}

// Close implements io.Closer. It ends the request rather than read what is left of it.
func (s *stream) Close() error {
	s.stall.Stop()
	s.cancel(errClosed)
	s.drop()
	return nil
}
