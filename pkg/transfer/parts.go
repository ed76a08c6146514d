package transfer

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// split reads the media part by part and sends each while others are read, as an upload's part or as a piece of a stream;
// media that the source gives by ranges are read by several at once. What turns out to fit one part stays in memory.
func (s *staged) split(ctx context.Context, media *mediasource.Media, job Job, way way) error {
	share := s.copier.Buffers.Join()
	defer share.Leave()
	first, err := share.Get(ctx)
	if err != nil {
		return err
	}
	hasher := digest.NewHasher()
	last, err := s.fill(media, first)
	switch {
	case err != nil:
		first.Free()
		return err
	case last:
		s.body = first
		_, _ = hasher.Write(first.B)
		s.digest = hasher.Digest()
		return nil
	}
	started := s.copier.Now()
	if way == streamed {
		err = s.begin(ctx, media, job)
	} else {
		err = s.create(ctx, job)
	}
	if err != nil {
		first.Free()
		return err
	}
	if err := s.parts(ctx, media, hasher, share, first); err != nil {
		return err
	}
	s.digest = hasher.Digest()
	if way == streamed {
		s.copier.pace.took(s.digest.Size, s.copier.Now().Sub(started))
	}
	return nil
}

// create opens the upload and notes it.
func (s *staged) create(ctx context.Context, job Job) error {
	options, err := s.options(ctx, job)
	if err != nil {
		return err
	}
	upload, err := s.copier.Store.Create(ctx, s.key, options)
	if err != nil {
		return err
	}
	s.upload = upload
	return s.hold.opened(ctx, upload.ID())
}

// part is one part on its way through: fetched, hashed in its turn, sent.
type part struct {
	number     int
	buf        *Buffer
	off        int64
	fetch      bool          // still to be had from the source
	turn, next chan struct{} // closed when the part before it, and this one, have been hashed, and sent where they are a stream's
}

// parts takes all parts through, from the first one on, which has been read. Each part's own order is kept by it; beside
// each other run as many as the share has buffers for.
//
// Reading ends with the first failure, but parts that are being sent are let through: an abort that overtakes one may
// leave the upload open.
func (s *staged) parts(ctx context.Context, media *mediasource.Media, hasher *digest.Hasher, share *Share, first *Buffer) error {
	g, reading := errgroup.WithContext(ctx)
	defer context.AfterFunc(reading, s.ended)() // also of what is read in order, by feed
	run := func(p part) {
		g.Go(func() error {
			defer p.buf.Free()
			if p.fetch {
				if err := media.Fill(reading, p.off, p.buf.B); err != nil {
					return err
				}
				s.copier.Read(len(p.buf.B))
			}
			select {
			case <-p.turn:
			case <-reading.Done():
				return reading.Err()
			}
			crc := hasher.Part(p.buf.B)
			if s.stream != nil {
				defer close(p.next)
				_, err := s.stream.Write(p.buf.B)
				return err
			}
			close(p.next)
			return s.upload.Part(ctx, p.number, p.buf.B, crc)
		})
	}
	g.Go(func() error { return s.feed(reading, media, share, first, run) })
	return g.Wait()
}

// feed gives each part to run, which frees its buffer.
func (s *staged) feed(ctx context.Context, media *mediasource.Media, share *Share, first *Buffer, run func(part)) error {
	turn := make(chan struct{})
	close(turn)
	p := part{buf: first, turn: turn}
	for p.number = 1; p.number <= objstore.MaxParts; p.number++ {
		p.next = make(chan struct{})
		length := int64(len(p.buf.B))
		run(p)
		p.off, p.turn = p.off+length, p.next
		if p.off == media.Size {
			return s.end(media)
		}
		buf, err := share.Get(ctx)
		if err != nil {
			return err
		}
		p.buf, p.fetch = buf, media.Ranged() && p.off >= media.First()
		if p.fetch {
			buf.B = buf.B[:min(int64(len(buf.B)), media.Size-p.off)]
			continue
		}
		if _, err := s.fill(media, buf); err != nil || len(buf.B) == 0 {
			buf.Free()
			return err
		}
	}
	p.buf.Free()
	return fault.New(fault.Permanent, fault.Source, "read media", fmt.Errorf("it is longer than %d parts; raise TWINREEL_PART_BYTES", objstore.MaxParts))
}

// end sees media that are read in order to their end, which is where their length is checked.
func (s *staged) end(media *mediasource.Media) error {
	if media.Ranged() {
		return nil // each range was checked on its own
	}
	return ended(media, false)
}
