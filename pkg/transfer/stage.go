package transfer

import (
	"context"
	"errors"
	"io"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// staged is a recording that has been read to its end and hashed, of which nothing is visible yet: its bytes, when they
// fit one buffer; or a request whose end is held back; or an upload whose parts the store has.
type staged struct {
	copier  *Copier
	hold    *hold
	key     string
	digest  digest.Digest
	sibling bool               // the bytes are the sibling's copy
	ended   context.CancelFunc // ends the reading of the media
	// One of these, until it is committed.
	body   *Buffer
	stream objstore.Stream
	upload objstore.Upload
}

// stage reads the media once, in order, and leaves it ready to commit. The bytes have been held against the event's size
// and sha256.
func (c *Copier) stage(ctx context.Context, job Job, hold *hold, open opener) (*staged, error) {
	reading, ended := context.WithCancel(ctx)
	defer ended()
	media, err := open(reading, job.Event.Data)
	if err != nil {
		return nil, err
	}
	defer media.Close()
	s := &staged{copier: c, hold: hold, key: job.Event.Data.ObjectKey, ended: ended}
	if err := s.read(ctx, media, job); err != nil {
		s.discard()
		return nil, err
	}
	if want := job.Event.Data.Media.SHA256; want != "" && want != s.digest.SHA256 {
		s.discard()
		return nil, fault.New(fault.Corrupt, fault.Source, "check the media", errors.New("its sha256 is not the one that the event names"))
	}
	return s, nil
}

// read takes the media in, on the way that suits them.
func (s *staged) read(ctx context.Context, media *mediasource.Media, job Job) error {
	switch way := s.copier.way(media, job.Again); {
	case way == whole:
		return s.keep(ctx, media)
	case way == streamed && !media.Ranged():
		return s.send(ctx, media, job)
	default:
		return s.split(ctx, media, job, way)
	}
}

// keep reads what fits one buffer into it.
func (s *staged) keep(ctx context.Context, media *mediasource.Media) error {
	buf, err := s.copier.Buffers.Get(ctx, int(media.Size))
	if err != nil {
		return err
	}
	s.body = buf
	last, err := s.fill(media, buf)
	if err != nil {
		return err
	}
	hasher := digest.NewHasher()
	_, _ = hasher.Write(buf.B)
	s.digest = hasher.Digest()
	return ended(media, last)
}

// piece is how many bytes of a stream are read, hashed and sent at a time: few enough to stay in the processor's cache.
const piece = 128 << 10

// send reads, hashes and sends piece after piece in one request. Its end waits for the commit.
func (s *staged) send(ctx context.Context, media *mediasource.Media, job Job) error {
	size := min(piece, s.copier.Buffers.Part())
	buf, err := s.copier.Buffers.Get(ctx, size)
	if err != nil {
		return err
	}
	defer buf.Free()
	if err := s.begin(ctx, media, job); err != nil {
		return err
	}
	started, hasher := s.copier.Now(), digest.NewHasher()
	for last := false; !last; {
		buf.B = buf.B[:size]
		if last, err = s.fill(media, buf); err != nil {
			return err
		}
		_, _ = hasher.Write(buf.B)
		if _, err := s.stream.Write(buf.B); err != nil {
			return err
		}
	}
	s.digest = hasher.Digest()
	s.copier.pace.took(s.digest.Size, s.copier.Now().Sub(started))
	return nil
}

// begin begins the streamed request.
func (s *staged) begin(ctx context.Context, media *mediasource.Media, job Job) error {
	options, err := s.options(ctx, job)
	if err != nil {
		return err
	}
	store, ok := s.copier.Store.(objstore.Streamer)
	if !ok {
		return fault.New(fault.Permanent, fault.Worker, "stream "+s.key, errors.New("the store takes no streams"))
	}
	s.stream, err = store.Stream(s.hold.ctx, s.key, media.Size, options)
	return err
}

// options are those that a stream or an upload is begun with: with the tags that were agreed on if the sibling came first,
// so that a crash cannot leave others; an event that contradicts the agreement gets no further. Else the event's own tags
// are as good as any: what is agreed on later comes with the commit.
func (s *staged) options(ctx context.Context, job Job) (objstore.Options, error) {
	side := event.NewSidecar(job.Event, digest.Digest{})
	held, err := s.copier.Agreement.Get(ctx, job.key())
	if err == nil && !held.Forgotten {
		if err := contradicts(job.Event, held.Entry); err != nil {
			return objstore.Options{}, err
		}
		if agreed, err := event.ParseSidecar(held.Sidecar); err == nil {
			side = agreed
		}
	}
	return objstore.Options{ContentType: side.ContentType, Tags: side.ObjectTags()}, nil
}

// fill reads the media into the buffer until it is full or, as last says, the media have ended.
func (s *staged) fill(media *mediasource.Media, buf *Buffer) (last bool, err error) {
	n, err := io.ReadFull(media, buf.B)
	buf.B = buf.B[:n]
	s.copier.Read(n)
	if err != nil && !isFault(err) && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
		return true, nil
	}
	return false, err
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
func (s *staged) commit(ctx context.Context, d digest.Digest, o objstore.Options) (info objstore.Info, err error) {
	switch {
	case s.stream != nil:
		if info, err = s.stream.Commit(ctx, d, o.Tags); err == nil {
			s.stream = nil
		}
	case s.upload != nil:
		if info, err = s.upload.Commit(ctx, d, o.Tags); err == nil {
			s.upload, s.hold.closed = nil, true
		}
	default:
		info, err = s.copier.Store.Put(ctx, s.key, s.body.B, d, o)
	}
	return info, err
}

// discard frees what is staged: the memory, and in the store what was not committed. It works when the copy's own
// context has ended.
func (s *staged) discard() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.hold.ctx), tidyTimeout)
	defer cancel()
	var err error
	switch {
	case s.body != nil:
		s.body.Free()
	case s.stream != nil:
		err = s.stream.Abort(ctx)
	case s.upload != nil:
		err = s.upload.Abort(ctx)
		s.hold.closed = err == nil
	}
	if err != nil {
		s.copier.Log.Warn("an upload could not be aborted; the next delivery tries again", zap.String("tier", s.copier.Tier.String()),
			zap.String("object_key", s.key), zap.String("error", fault.Text(err)))
	}
	s.body, s.stream, s.upload = nil, nil, nil
}
