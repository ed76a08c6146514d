package scrub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

const (
	bufferSize  = 256 << 10       // bytes; media are hashed as they come
	attemptTime = 5 * time.Minute // for one request, of a piece or of a page
	tries       = 5
	probeTime   = 15 * time.Second
	probeKey    = "metadata/readiness-probe.json" // of an object that is never there, where none is known to have been read
)

// patience says how long a store's trouble is waited for.
type patience int

const (
	always  patience = iota // for ever: listings
	fairly                  // until it is this one object's, the store being well otherwise
	briefly                 // a few times
)

// errUnreadable says that the store does not give an object.
var errUnreadable = errors.New("the store does not give it")

// persist makes a request until it is answered. Answers are success, ErrNotExist, and what is of class Conflict; else the
// error is errUnreadable, or that of ctx, which has ended.
func (s *Scrubber) persist(ctx context.Context, l *lane, p patience, request func(ctx context.Context) error) error {
	for failures := 1; ; failures++ {
		err := within(ctx, attemptTime, request)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch {
		case err == nil, errors.Is(err, objstore.ErrNotExist), fault.ClassOf(err) == fault.Conflict:
			s.trouble(l, p, nil)
			return err
		case p == briefly && failures == tries, p == fairly && s.hopeless(ctx, l, err, failures):
			return fmt.Errorf("%w: %w", errUnreadable, err)
		}
		s.trouble(l, p, err)
		if err := sleep(ctx, max(s.Waits.Delay(failures), fault.RetryAfterOf(err))); err != nil {
			return err
		}
	}
}

func within(ctx context.Context, d time.Duration, request func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return request(ctx)
}

// hopeless reports whether a failure is the object's own: the store answers otherwise. To be throttled is nobody's.
func (s *Scrubber) hopeless(ctx context.Context, l *lane, err error, failures int) bool {
	switch fault.ClassOf(err) {
	case fault.Throttled:
		return false
	case fault.Denied, fault.Permanent:
	default:
		if failures < tries {
			return false
		}
	}
	err = within(ctx, probeTime, func(ctx context.Context) error { return s.probe(ctx, l) })
	return err == nil || errors.Is(err, objstore.ErrNotExist)
}

// probe reads a byte of what was read last.
func (s *Scrubber) probe(ctx context.Context, l *lane) error {
	s.mu.Lock()
	key := l.proof
	s.mu.Unlock()
	if key == "" {
		_, err := l.store.Stat(ctx, probeKey)
		return err
	}
	body, err := l.store.Open(ctx, key, 0, 1)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if _, err = io.ReadFull(body, make([]byte, 1)); errors.Is(err, io.EOF) {
		return nil // empty is an answer
	}
	return err
}

// trouble says once that a store does not answer, and once that it does again: of listings and of reading each.
func (s *Scrubber) trouble(l *lane, p patience, err error) {
	listing := p == always
	at := &l.troubled[0]
	if listing {
		at = &l.troubled[1]
	}
	s.mu.Lock()
	was := *at
	*at = err != nil
	s.mu.Unlock()
	switch {
	case err != nil && !was:
		s.Log.Warn("reading back waits for the store", zap.String("tier", l.tier.String()), zap.Bool("listing", listing),
			zap.Stringer("fault", fault.ClassOf(err)), zap.String("error", fault.Text(err)))
	case err == nil && was:
		s.Log.Info("reading back goes on", zap.String("tier", l.tier.String()), zap.Bool("listing", listing))
	}
}

// reading is one object that is to be read.
type reading struct {
	lane     *lane
	key      string
	size     int64 // as it should be; one byte more is read, to see that there is no more
	patience patience
	admit    func(ctx context.Context, n int) error // waits until n bytes may be read
	buffer   []byte
}

// read reads an object and returns the digest of its bytes. Where it is longer than it should be, it is that of one byte
// more than it should have. The errors are persist's.
func (s *Scrubber) read(ctx context.Context, r reading) (digest.Digest, error) {
	h := digest.NewHasher()
	for off := int64(0); off <= r.size; {
		n := min(piece, r.size+1-off)
		if err := r.admit(ctx, int(n)); err != nil {
			return digest.Digest{}, err
		}
		got := int64(0)
		err := s.persist(ctx, r.lane, r.patience, func(ctx context.Context) error { return s.span(ctx, r, h, off, n, &got) })
		if err != nil {
			return digest.Digest{}, err
		}
		if off += got; got < n {
			break
		}
	}
	s.mu.Lock()
	r.lane.proof = r.key
	s.mu.Unlock()
	return h.Digest(), nil
}

// span reads n bytes from off on, of which got are hashed already: what breaks off is gone on with.
func (s *Scrubber) span(ctx context.Context, r reading, h *digest.Hasher, off, n int64, got *int64) error {
	body, err := r.lane.store.Open(ctx, r.key, off+*got, n-*got)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	for *got < n {
		k, err := body.Read(r.buffer[:min(int64(len(r.buffer)), n-*got)])
		_, _ = h.Write(r.buffer[:k]) // never fails
		*got += int64(k)
		s.Metrics.bytes.WithLabelValues(r.lane.tier.String()).Add(float64(k))
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}
