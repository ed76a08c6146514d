package memstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

var (
	_ objstore.Writer = (*Store)(nil)
	_ objstore.Reader = (*Store)(nil)
)

// Put implements objstore.Writer.
func (s *Store) Put(ctx context.Context, key string, body []byte, d digest.Digest, o objstore.Options) (info objstore.Info, err error) {
	err = s.do(ctx, Put, key, func() error {
		info, err = s.create("put "+key, key, Object{Body: bytes.Clone(body), ContentType: o.ContentType, Tags: maps.Clone(o.Tags)}, d)
		return err
	})
	return info, err
}

// Tag implements objstore.Writer.
func (s *Store) Tag(ctx context.Context, key string, tags map[string]string) error {
	return s.do(ctx, Tag, key, func() error {
		o, ok := s.objects[key]
		if !ok {
			return absent("tag " + key)
		}
		o.Tags = maps.Clone(tags)
		s.objects[key] = o
		return nil
	})
}

// retag sets the tags of an object just committed where it was begun with others, by a call of its own, as in S3.
func (s *Store) retag(ctx context.Context, key string, have, tags map[string]string) error {
	if maps.Equal(have, tags) {
		return nil
	}
	return s.Tag(ctx, key, tags)
}

// Stat implements objstore.Writer and objstore.Reader.
func (s *Store) Stat(ctx context.Context, key string) (info objstore.Info, err error) {
	err = s.do(ctx, Stat, key, func() error {
		o, ok := s.objects[key]
		if !ok {
			return absent("stat " + key)
		}
		info = describe(key, o)
		return nil
	})
	return info, err
}

// StatVersion implements objstore.Reader.
func (s *Store) StatVersion(ctx context.Context, key, version string) (objstore.Info, error) {
	if version != "" {
		return objstore.Info{}, absent("stat a version of " + key) // it has none
	}
	info, err := s.Stat(ctx, key)
	info.Latest = false
	return info, err
}

// ReadSidecar implements objstore.Writer.
func (s *Store) ReadSidecar(ctx context.Context, key string) (b []byte, err error) {
	op := "read " + key
	if !strings.HasPrefix(key, objstore.SidecarPrefix) {
		return nil, fault.New(fault.Permanent, fault.Store, op, fmt.Errorf("a writer reads below %s only", objstore.SidecarPrefix))
	}
	err = s.do(ctx, ReadSidecar, key, func() error {
		o, ok := s.objects[key]
		if !ok {
			return absent(op)
		}
		b, err = objstore.ReadSmall(bytes.NewReader(bytes.Clone(o.Body)))
		if err != nil {
			return fault.New(fault.Corrupt, fault.Store, op, err)
		}
		return nil
	})
	return b, err
}

// List implements objstore.Reader, from one moment's state.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	return s.list(ctx, prefix, func(key string) bool { return strings.HasPrefix(key, prefix) })
}

// ListRange implements objstore.Reader, from one moment's state.
func (s *Store) ListRange(ctx context.Context, after, through string) iter.Seq2[objstore.Info, error] {
	return s.list(ctx, after, func(key string) bool { return key > after && (through == "" || key <= through) })
}

// Tags implements objstore.Reader.
func (s *Store) Tags(ctx context.Context, key string) (tags map[string]string, err error) {
	err = s.do(ctx, Tags, key, func() error {
		o, ok := s.objects[key]
		if !ok {
			return absent("read the tags of " + key)
		}
		tags = map[string]string{}
		maps.Copy(tags, o.Tags)
		return nil
	})
	return tags, err
}

func (s *Store) list(ctx context.Context, name string, in func(key string) bool) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		var found []objstore.Info
		err := s.do(ctx, List, name, func() error {
			for _, key := range slices.Sorted(maps.Keys(s.objects)) {
				if in(key) {
					o := s.objects[key]
					o.NoChecksum = true // listings have none, and many are listed
					found = append(found, describe(key, o))
				}
			}
			return nil
		})
		if err != nil {
			yield(objstore.Info{}, err)
			return
		}
		for _, i := range found {
			if !yield(i, nil) {
				return
			}
		}
	}
}

// Open implements objstore.Reader.
func (s *Store) Open(ctx context.Context, key string, off, n int64) (r io.ReadCloser, err error) {
	op := "open " + key
	err = s.do(ctx, Open, key, func() error {
		o, ok := s.objects[key]
		if !ok {
			return absent(op)
		}
		if off < 0 {
			return fault.New(fault.Permanent, fault.Store, op, errors.New("negative offset"))
		}
		body := o.Body[min(off, int64(len(o.Body))):]
		if n >= 0 {
			body = body[:min(n, int64(len(body)))]
		}
		r = io.NopCloser(bytes.NewReader(bytes.Clone(body)))
		return nil
	})
	return r, err
}
