// Package observed wraps a store so that somebody is asked before, and told after, each of its calls: that is how a
// worker learns how its store does, holds its rate of requests, and keeps from beginning anything while a breaker is open.
package observed

import (
	"context"
	"errors"
	"strings"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// Kind says what a call does.
type Kind int

// The kinds.
const (
	Begins   Kind = iota // it begins to store media: Put, Create, Stream
	Goes                 // it goes on with what was begun: Part, Commit, Tag, the sidecar's Put
	Looks                // it only looks: Stat, ReadSidecar
	CleansUp             // Abort, Abandon
)

// Call is one call of the seam, which is one request; an absent object costs S3 another, and so may a commit's tags.
type Call struct {
	Kind Kind
	Key  string
}

// Observer is asked and told. It is called from several goroutines at once.
type Observer interface {
	// Before is asked before each request. It may wait for its turn, or refuse the call: the caller gets its error.
	Before(ctx context.Context, c Call) error
	// Failed is told of an error that says something about the store: of class Unavailable, Throttled or Denied. It is not told
	// of what ended because the caller gave it up, nor of a stream that broke because it was kept waiting for the media.
	Failed(c Call, err error)
	// Wrote is told of a write that the store carried out.
	Wrote(c Call)
}

// Wrap returns store, observed. It is an objstore.Streamer if store is one.
func Wrap(store objstore.Writer, o Observer) objstore.Writer {
	w := writer{store, o}
	if s, ok := store.(objstore.Streamer); ok {
		return &streamer{writer: w, streams: s}
	}
	return &w
}

type writer struct {
	objstore.Writer
	observer Observer
}

// do has one call made. proof: where it succeeds, the store has carried out a write. (Some stores have nothing to do for
// Create, Tag, Abandon and Abort, and a look proves little.)
func (w *writer) do(ctx context.Context, c Call, proof bool, call func() error) error {
	if err := w.observer.Before(ctx, c); err != nil {
		return err
	}
	err := call()
	w.told(ctx, c, proof, err)
	return err
}

func (w *writer) told(ctx context.Context, c Call, proof bool, err error) {
	switch {
	case err == nil && proof:
		w.observer.Wrote(c)
	case err != nil && c.Kind != CleansUp && about(ctx, err):
		w.observer.Failed(c, err)
	}
}

// about reports whether err says something about the store: not whether an object exists, nor what is wrong with a
// request, nor that we gave it up.
func about(ctx context.Context, err error) bool {
	if errors.Is(ctx.Err(), context.Canceled) {
		return false
	}
	switch fault.ClassOf(err) {
	case fault.Unavailable, fault.Throttled, fault.Denied:
		return true
	}
	return false
}

// Put implements objstore.Writer.
func (w *writer) Put(ctx context.Context, key string, body []byte, d digest.Digest, o objstore.Options) (info objstore.Info, err error) {
	kind := Begins
	if strings.HasPrefix(key, objstore.SidecarPrefix) {
		kind = Goes
	}
	err = w.do(ctx, Call{kind, key}, true, func() error {
		info, err = w.Writer.Put(ctx, key, body, d, o)
		return err
	})
	return info, err
}

// Create implements objstore.Writer.
func (w *writer) Create(ctx context.Context, key string, o objstore.Options) (u objstore.Upload, err error) {
	err = w.do(ctx, Call{Begins, key}, false, func() error {
		u, err = w.Writer.Create(ctx, key, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &upload{u, w, key}, nil
}

// Abandon implements objstore.Writer.
func (w *writer) Abandon(ctx context.Context, key, uploadID string) error {
	return w.do(ctx, Call{CleansUp, key}, false, func() error { return w.Writer.Abandon(ctx, key, uploadID) })
}

// Tag implements objstore.Writer.
func (w *writer) Tag(ctx context.Context, key string, tags map[string]string) error {
	return w.do(ctx, Call{Goes, key}, false, func() error { return w.Writer.Tag(ctx, key, tags) })
}

// Stat implements objstore.Writer.
func (w *writer) Stat(ctx context.Context, key string) (info objstore.Info, err error) {
	err = w.do(ctx, Call{Looks, key}, false, func() error {
		info, err = w.Writer.Stat(ctx, key)
		return err
	})
	return info, err
}

// ReadSidecar implements objstore.Writer.
func (w *writer) ReadSidecar(ctx context.Context, key string) (b []byte, err error) {
	err = w.do(ctx, Call{Looks, key}, false, func() error {
		b, err = w.Writer.ReadSidecar(ctx, key)
		return err
	})
	return b, err
}

// upload is an upload in parts.
type upload struct {
	objstore.Upload
	w   *writer
	key string
}

// Part implements objstore.Upload.
func (u *upload) Part(ctx context.Context, n int, p []byte, crc uint64) error {
	return u.w.do(ctx, Call{Goes, u.key}, true, func() error { return u.Upload.Part(ctx, n, p, crc) })
}

// Commit implements objstore.Upload.
func (u *upload) Commit(ctx context.Context, d digest.Digest, tags map[string]string) (info objstore.Info, err error) {
	err = u.w.do(ctx, Call{Goes, u.key}, true, func() error {
		info, err = u.Upload.Commit(ctx, d, tags)
		return err
	})
	return info, err
}

// Abort implements objstore.Upload.
func (u *upload) Abort(ctx context.Context) error {
	return u.w.do(ctx, Call{CleansUp, u.key}, false, func() error { return u.Upload.Abort(ctx) })
}
