package memstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// upload is an object on its way. All its state is under the store's lock.
type upload struct {
	store   *Store
	id, key string
	options objstore.Options
	parts   map[int][]byte
}

// Create implements objstore.Writer.
func (s *Store) Create(ctx context.Context, key string, o objstore.Options) (objstore.Upload, error) {
	var u *upload
	err := s.do(ctx, Create, key, func() error {
		s.serial++
		u = &upload{store: s, id: fmt.Sprintf("upload-%d", s.serial), key: key, options: o, parts: map[int][]byte{}}
		s.uploads[u.id] = u
		return nil
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

// Abandon implements objstore.Writer.
func (s *Store) Abandon(ctx context.Context, key, uploadID string) error {
	return s.do(ctx, Abandon, key, func() error {
		if u := s.uploads[uploadID]; u != nil && u.key == key {
			delete(s.uploads, uploadID)
		}
		return nil
	})
}

// ID implements objstore.Upload.
func (u *upload) ID() string { return u.id }

// Part implements objstore.Upload.
func (u *upload) Part(ctx context.Context, n int, p []byte, crc uint64) error {
	op := fmt.Sprintf("send part %d of %s", n, u.key)
	if n < 1 || n > objstore.MaxParts {
		return fault.New(fault.Permanent, fault.Store, op, fmt.Errorf("parts are numbered from 1 to %d", objstore.MaxParts))
	}
	return u.store.do(ctx, Part, u.key, func() error {
		switch {
		case u.store.uploads[u.id] != u:
			return fault.New(fault.Transient, fault.Store, op, errors.New("the upload is gone"))
		case digest.CRC64(p) != crc:
			return fault.New(fault.Corrupt, fault.Store, op, errors.New("the bytes are not those of the checksum"))
		}
		u.parts[n] = bytes.Clone(p)
		return nil
	})
}

// Commit implements objstore.Upload. As in S3 a refused commit leaves the upload open.
func (u *upload) Commit(ctx context.Context, d digest.Digest, tags map[string]string) (info objstore.Info, err error) {
	op := "commit " + u.key
	err = u.store.do(ctx, Commit, u.key, func() error {
		if u.store.uploads[u.id] != u {
			return unknown(op, "the upload is gone")
		}
		body, err := u.body(op)
		if err != nil {
			return err
		}
		info, err = u.store.create(op, u.key, Object{Body: body, ContentType: u.options.ContentType, Tags: maps.Clone(u.options.Tags)}, d)
		if err == nil {
			delete(u.store.uploads, u.id)
		}
		return err
	})
	if err == nil {
		err = u.store.retag(ctx, u.key, u.options.Tags, tags)
	}
	return info, err
}

// body joins the parts. The lock is held.
func (u *upload) body(op string) ([]byte, error) {
	var b []byte
	for n := 1; n <= len(u.parts); n++ {
		p, ok := u.parts[n]
		if !ok {
			return nil, fault.New(fault.Permanent, fault.Store, op, fmt.Errorf("part %d was never sent", n))
		}
		b = append(b, p...)
	}
	if len(u.parts) == 0 {
		return nil, fault.New(fault.Permanent, fault.Store, op, errors.New("no part was sent"))
	}
	return b, nil
}

// Abort implements objstore.Upload.
func (u *upload) Abort(ctx context.Context) error {
	return u.store.do(ctx, Abort, u.key, func() error {
		delete(u.store.uploads, u.id)
		return nil
	})
}
