// Package readback reads one copy back from a store and proves it: every byte is hashed on its way, and held against what
// both tiers agreed on. What breaks off is taken up where it was; what does not move ends.
package readback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
)

// ErrDiffers is returned for a copy whose bytes are not those that were agreed on: it is evidence.
var ErrDiffers = errors.New("the copy is not what was agreed on")

// Defaults of a Reader.
const (
	Stall   = 30 * time.Second // no byte for so long, and it is begun again
	Resumes = 5                // so often in a row without a byte, and it is given up
)

// chunk is how many bytes are read at a time.
const chunk = 128 << 10

// Reader reads copies back. Its fields are set before and not changed.
type Reader struct {
	Stall  time.Duration
	Resume queue.Schedule // waits before an answer that broke is taken up again
	Read   func(n int)    // told of bytes as they come; nil: nobody is
}

// New returns a Reader as it is in earnest.
func New() *Reader {
	return &Reader{Stall: Stall, Resume: queue.Schedule{Base: 500 * time.Millisecond, Cap: 10 * time.Second}}
}

// Copy reads as many bytes of the key's object as d has into w, and proves that they are d: see Well for an object that is
// longer. ErrDiffers where they are not; what w has got by then is not to be used, as at any other error.
// objstore.ErrNotExist.
func (r *Reader) Copy(ctx context.Context, store objstore.Reader, key string, d digest.Digest, w io.Writer) error {
	have, err := r.Digest(ctx, store, key, d.Size, w)
	switch {
	case err != nil:
		return err
	case have.Size < d.Size:
		return fmt.Errorf("%w: it ends after %d bytes of %d", ErrDiffers, have.Size, d.Size)
	case have != d:
		return fmt.Errorf("%w: sha256 %s, agreed %s", ErrDiffers, have.SHA256, d.SHA256)
	}
	return nil
}

// Digest reads size bytes of the key's object into w, or as many as it has, and says what they are. At an error, what w has
// got is not to be used. objstore.ErrNotExist.
func (r *Reader) Digest(ctx context.Context, store objstore.Reader, key string, size int64, w io.Writer) (digest.Digest, error) {
	hasher := digest.NewHasher()
	failed := 0
	for got := int64(0); got < size; {
		n, err := r.span(ctx, store, key, got, size-got, io.MultiWriter(w, hasher))
		if got += n; got == size {
			break // whatever its last word was: the hashes decide
		}
		if failed++; n > 0 {
			failed = 1
		}
		switch {
		case ctx.Err() != nil:
			return digest.Digest{}, ctx.Err()
		case err == nil:
			return hasher.Digest(), nil
		case final(err) || failed > Resumes:
			return digest.Digest{}, err
		}
		select {
		case <-ctx.Done():
			return digest.Digest{}, ctx.Err()
		case <-time.After(r.Resume.Delay(failed)):
		}
	}
	return hasher.Digest(), nil
}

// final reports whether asking again would be of no use.
func final(err error) bool {
	class := fault.ClassOf(err)
	return errors.Is(err, objstore.ErrNotExist) || errors.Is(err, errWrite) || class == fault.Denied || class == fault.Permanent
}

// errWrite says that it was not the store that failed.
var errWrite = errors.New("write what was read")

// errStalled is why an answer that does not move is given up.
var errStalled = errors.New("no byte came for too long")

// span reads n bytes from off, or as many as come. A nil error says that the answer ended by itself.
func (r *Reader) span(ctx context.Context, store objstore.Reader, key string, off, n int64, w io.Writer) (got int64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(r.Stall, func() { cancel(errStalled) })
	defer watch.Stop()
	defer func() {
		if cause := context.Cause(ctx); err != nil && errors.Is(cause, errStalled) {
			err = fault.New(fault.Unavailable, fault.Store, "read "+key, errStalled)
		}
	}()
	body, err := store.Open(ctx, key, off, n)
	if err != nil {
		return 0, err
	}
	defer func() { _ = body.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = body.Close() }) // whatever a driver's body thinks of contexts
	defer stop()
	buf := make([]byte, chunk)
	for {
		k, rerr := body.Read(buf)
		if k > 0 {
			watch.Reset(r.Stall)
			if got+int64(k) > n {
				return got, fault.New(fault.Permanent, fault.Store, "read "+key, errors.New("more bytes than were asked for"))
			}
			if _, werr := w.Write(buf[:k]); werr != nil {
				return got, fmt.Errorf("%w: %w", errWrite, werr)
			}
			got += int64(k)
			if r.Read != nil {
				r.Read(k)
			}
		}
		switch {
		case errors.Is(rerr, io.EOF):
			return got, ctx.Err()
		case rerr != nil:
			return got, rerr
		}
	}
}
