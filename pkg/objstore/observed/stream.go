package observed

import (
	"context"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// patience is how long a store may be expected to wait for a stream's next bytes: S3 breaks a request off that stands
// still for some 20 s (RequestTimeout). What breaks after a longer wait is the source's doing, or ours.
const patience = 10 * time.Second

// streamer is a writer of a store that takes streams.
type streamer struct {
	writer
	streams objstore.Streamer
}

// Stream implements objstore.Streamer. It is one request, from here to its commit.
func (s *streamer) Stream(ctx context.Context, key string, size int64, o objstore.Options) (u objstore.Stream, err error) {
	err = s.do(ctx, Call{Begins, key}, false, func() error {
		u, err = s.streams.Stream(ctx, key, size, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &stream{Stream: u, w: &s.writer, ctx: ctx, call: Call{Goes, key}, moved: time.Now()}, nil
}

// stream is an object on its way in one request.
type stream struct {
	objstore.Stream
	w      *writer
	ctx    context.Context
	call   Call
	moved  time.Time // when it was last given something
	waited bool      // it was kept waiting for longer than a store need bear
}

// Write implements objstore.Stream.
func (s *stream) Write(p []byte) (int, error) {
	s.resume()
	n, err := s.Stream.Write(p)
	s.moved = time.Now()
	if err != nil {
		s.told(s.ctx, false, err)
	}
	return n, err
}

// Commit implements objstore.Stream.
func (s *stream) Commit(ctx context.Context, d digest.Digest, tags map[string]string) (objstore.Info, error) {
	s.resume()
	info, err := s.Stream.Commit(ctx, d, tags)
	s.told(ctx, true, err)
	return info, err
}

func (s *stream) resume() { s.waited = s.waited || time.Since(s.moved) > patience }

func (s *stream) told(ctx context.Context, proof bool, err error) {
	if err == nil || !s.waited {
		s.w.told(ctx, s.call, proof, err)
	}
}
