package memstore

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

var _ objstore.Streamer = (*Store)(nil)

// stream is an object on its way in one request.
type stream struct {
	ctx     context.Context
	store   *Store
	key     string
	size    int64
	options objstore.Options
	body    []byte
}

// Stream implements objstore.Streamer.
func (s *Store) Stream(ctx context.Context, key string, size int64, o objstore.Options) (objstore.Stream, error) {
	if size <= 0 || size > objstore.MaxStream {
		return nil, fault.New(fault.Permanent, fault.Store, "stream "+key, fmt.Errorf("one request takes 1 to %d bytes, not %d", int64(objstore.MaxStream), size))
	}
	var u *stream
	err := s.do(ctx, Stream, key, func() error {
		u = &stream{ctx: ctx, store: s, key: key, size: size, options: o}
		s.streams[u] = struct{}{}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

// Write implements objstore.Stream.
func (u *stream) Write(p []byte) (int, error) {
	op := "send " + u.key
	err := u.store.do(u.ctx, Write, u.key, func() error {
		_, open := u.store.streams[u]
		switch {
		case !open:
			return fault.New(fault.Transient, fault.Store, op, errors.New("the upload is gone"))
		case int64(len(u.body)+len(p)) > u.size:
			return fault.New(fault.Corrupt, fault.Store, op, fmt.Errorf("more than the announced %d bytes", u.size))
		}
		u.body = append(u.body, p...)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Commit implements objstore.Stream. A request ends with its answer, whatever that is.
func (u *stream) Commit(ctx context.Context, d digest.Digest, tags map[string]string) (info objstore.Info, err error) {
	op := "commit " + u.key
	err = u.store.do(ctx, Commit, u.key, func() error {
		_, open := u.store.streams[u]
		switch {
		case !open:
			return unknown(op, "the upload is gone")
		case int64(len(u.body)) != u.size || d.Size != u.size:
			return fault.New(fault.Corrupt, fault.Store, op, fmt.Errorf("%d bytes were announced, %d sent, %d are the digest's", u.size, len(u.body), d.Size))
		}
		delete(u.store.streams, u)
		info, err = u.store.create(op, u.key, Object{Body: u.body, ContentType: u.options.ContentType, Tags: maps.Clone(u.options.Tags)}, d)
		return err
	})
	if err == nil {
		err = u.store.retag(ctx, u.key, u.options.Tags, tags)
	}
	return info, err
}

// Abort implements objstore.Stream.
func (u *stream) Abort(ctx context.Context) error {
	return u.store.do(ctx, Abort, u.key, func() error {
		delete(u.store.streams, u)
		return nil
	})
}
