package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// partsInFlight is how many parts of one recording are on their way to the store while the next is read.
const partsInFlight = 2

// staged is a recording that has been read to its end and hashed, of which nothing is visible yet: either its bytes, when
// they fit one part, or an upload whose parts the store has.
type staged struct {
	copier *Copier
	hold   *hold
	key    string
	digest digest.Digest
	body   *Buffer         // small: the whole recording
	upload objstore.Upload // large; nil once committed
}

// stage reads the media once, in order, and leaves it ready to commit. The bytes have been held against the event's size
// and sha256.
func (c *Copier) stage(ctx context.Context, job Job, hold *hold) (*staged, error) {
	data := job.Event.Data
	media, err := c.open(ctx, data)
	if err != nil {
		return nil, err
	}
	defer media.Close()
	s := &staged{copier: c, hold: hold, key: data.ObjectKey}
	if err := s.read(ctx, media, job); err != nil {
		s.discard()
		return nil, err
	}
	if data.Media.SHA256 != "" && data.Media.SHA256 != s.digest.SHA256 {
		s.discard()
		return nil, fault.New(fault.Corrupt, fault.Source, "check the media", errors.New("its sha256 is not the one that the event names"))
	}
	return s, nil
}

func (c *Copier) open(ctx context.Context, data event.Data) (*mediasource.Media, error) {
	if data.Media.URL == "" {
		return nil, fault.New(fault.SourceGone, fault.Source, "open media", errors.New("the event has no link to it"))
	}
	size := int64(-1)
	if data.Media.Size != nil {
		size = *data.Media.Size
	}
	return c.Source.Open(ctx, mediasource.Request{
		URL: data.Media.URL, Format: data.Media.Format, Size: size, SizeOptional: data.Media.SHA256 != "",
	})
}

// read takes the media in, part by part. What fits one part stays in memory; anything longer becomes an upload.
func (s *staged) read(ctx context.Context, media *mediasource.Media, job Job) error {
	part := s.copier.Buffers.Part()
	want := part
	if media.Size >= 0 && media.Size < int64(part) {
		want = int(media.Size)
	}
	hasher := digest.NewHasher()
	first, last, err := s.fill(ctx, media, hasher, want)
	if err != nil {
		return err
	}
	if last || int64(len(first.B)) == media.Size {
		s.body = first
		if err := ended(media, last); err != nil {
			return err
		}
		s.digest = hasher.Digest()
		return nil
	}
	if err := s.begin(ctx, job); err != nil {
		first.Free()
		return err
	}
	if err := s.parts(ctx, media, hasher, first); err != nil {
		return err
	}
	s.digest = hasher.Digest()
	return nil
}

// begin opens the upload, with the tags that were agreed on if the sibling came first, so that a crash cannot leave
// others; an event that contradicts the agreement gets no further. Else the event's own tags are as good as any: what is
// agreed on later comes with the commit.
func (s *staged) begin(ctx context.Context, job Job) error {
	side := event.NewSidecar(job.Event, digest.Digest{})
	held, err := s.copier.Agreement.Get(ctx, job.key())
	if err == nil && !held.Forgotten {
		if err := contradicts(job.Event, held.Entry); err != nil {
			return err
		}
		if agreed, err := event.ParseSidecar(held.Sidecar); err == nil {
			side = agreed
		}
	}
	upload, err := s.copier.Store.Create(ctx, s.key, objstore.Options{ContentType: side.ContentType, Tags: side.ObjectTags()})
	if err != nil {
		return err
	}
	s.upload = upload
	return s.hold.opened(ctx, upload.ID())
}

// parts sends part after part while the next is read; hashing stays in order.
func (s *staged) parts(ctx context.Context, media *mediasource.Media, hasher *digest.Hasher, first *Buffer) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(partsInFlight)
	err := s.feed(ctx, media, hasher, first, func(n int, buf *Buffer) {
		g.Go(func() error {
			defer buf.Free()
			return s.upload.Part(ctx, n, buf.B, digest.CRC64(buf.B))
		})
	})
	// Parts on their way are let through even when reading failed: an abort that overtakes one may leave the upload open.
	// A failed part ends the context, which fails the reading as well: then the part's error is the reason.
	if sent := g.Wait(); sent != nil {
		return sent
	}
	return err
}

// feed gives each part, from the first one on, to send, which frees it.
func (s *staged) feed(ctx context.Context, media *mediasource.Media, hasher *digest.Hasher, buf *Buffer, send func(int, *Buffer)) (err error) {
	last := false
	for n := 1; n <= objstore.MaxParts; n++ {
		send(n, buf)
		if last {
			return nil
		}
		buf, last, err = s.fill(ctx, media, hasher, s.copier.Buffers.Part())
		if err != nil {
			return err
		}
		if len(buf.B) == 0 {
			buf.Free()
			return nil
		}
	}
	buf.Free()
	return fault.New(fault.Permanent, fault.Source, "read media", fmt.Errorf("it is longer than %d parts; raise TWINREEL_PART_BYTES", objstore.MaxParts))
}

// fill reads up to n bytes into a new buffer and hashes them. last says that the media ended with them.
func (s *staged) fill(ctx context.Context, media *mediasource.Media, hasher *digest.Hasher, n int) (buf *Buffer, last bool, err error) {
	buf, err = s.copier.Buffers.Get(ctx, n)
	if err != nil {
		return nil, false, err
	}
	got, err := io.ReadFull(media, buf.B)
	buf.B = buf.B[:got]
	s.copier.Read(got)
	switch {
	case err != nil && !isFault(err) && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)):
		last = true
	case err != nil:
		buf.Free()
		return nil, false, err
	}
	_, _ = hasher.Write(buf.B)
	return buf, last, nil
}

// isFault reports whether err was classified where it arose: then it is no plain end of the media.
func isFault(err error) bool {
	var f *fault.Error
	return errors.As(err, &f)
}

// ended reads on to the end of media whose bytes are all there, which is where its length is checked.
func ended(media *mediasource.Media, last bool) error {
	if last {
		return nil
	}
	var one [1]byte
	n, err := io.ReadFull(media, one[:])
	switch {
	case n > 0:
		return fault.New(fault.Corrupt, fault.Source, "read media", errors.New("longer than promised"))
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// commit makes the recording visible, conditional on the absence of its key.
func (s *staged) commit(ctx context.Context, d digest.Digest, o objstore.Options) (objstore.Info, error) {
	if s.upload == nil {
		return s.copier.Store.Put(ctx, s.key, s.body.B, d, o)
	}
	info, err := s.upload.Commit(ctx, d, o.Tags)
	if err == nil {
		s.upload, s.hold.closed = nil, true
	}
	return info, err
}

// discard frees what is staged: the memory, and in the store what was not committed. It works when the copy's own
// context has ended.
func (s *staged) discard() {
	if s.body != nil {
		s.body.Free()
		s.body = nil
	}
	if s.upload == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.hold.ctx), tidyTimeout)
	defer cancel()
	err := s.upload.Abort(ctx)
	if s.hold.closed = err == nil; err != nil {
		s.copier.Log.Warn("an upload could not be aborted; the next delivery tries again", zap.String("tier", s.copier.Tier.String()),
			zap.String("object_key", s.key), zap.String("error", fault.Text(err)))
	}
	s.upload = nil
}
