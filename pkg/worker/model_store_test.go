package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

// weather is how a store is.
type weather int

// The weathers of a store.
const (
	well       weather = iota
	failing5xx         // 5xx
	throttling         // 429, 503 SlowDown
	denying            // 403 for everybody
	refusing           // 400 for one recording's objects; a probe passes
	weathers
)

// depot is one tier's store with its weather.
type depot struct {
	*memstore.Store
	model   *model
	tier    tier.Tier
	weather weather
	refused string // the recording, while refusing
}

// turn changes the weather.
func (d *depot) turn(w weather, refused string) {
	d.model.mu.Lock()
	defer d.model.mu.Unlock()
	d.weather, d.refused = w, refused
}

// trouble is the weather's answer to a call for key.
func (d *depot) trouble(op, key string) error {
	d.model.mu.Lock()
	defer d.model.mu.Unlock()
	var class fault.Class
	switch d.weather {
	case failing5xx:
		return fault.New(fault.Unavailable, fault.Store, op+" "+key, fmt.Errorf("%w: it answered 500", objstore.ErrUnknown))
	case throttling:
		class = fault.Throttled
	case denying:
		class = fault.Denied
	case refusing:
		if !strings.Contains(key, "/"+d.refused+".") || op == "stat" || op == "read" {
			return nil
		}
		class = fault.Permanent
	default:
		return nil
	}
	return fault.New(class, fault.Store, op+" "+key, errors.New("it refuses"))
}

// client is the store as one worker reaches it: each call is a step.
type client struct {
	*depot
	process *process
}

func (c client) step(ctx context.Context, op, key string, effect func() error) error {
	err := c.call(ctx, op, key, effect)
	c.process.storeSaid(ctx, op, key, err)
	return err
}

// call is step for what may break by our own fault, and then says nothing about the store.
func (c client) call(ctx context.Context, op, key string, effect func() error) error {
	lost := fault.New(fault.Unavailable, fault.Store, op+" "+key, fmt.Errorf("%w: no answer came", objstore.ErrUnknown))
	return c.model.step(ctx, seam{op: "store " + op, key: key, effect: effect, lost: lost, weather: func() error { return c.trouble(op, key) }})
}

// Put implements objstore.Writer.
func (c client) Put(ctx context.Context, key string, body []byte, d digest.Digest, o objstore.Options) (info objstore.Info, err error) {
	body = bytes.Clone(body) // it may arrive when the caller's buffer has another's bytes
	err = c.step(ctx, "put", key, func() error {
		var e error
		info, e = c.Store.Put(context.WithoutCancel(ctx), key, body, d, o)
		return c.model.made(c.depot, key, e)
	})
	return info, err
}

// Create implements objstore.Writer.
func (c client) Create(ctx context.Context, key string, o objstore.Options) (objstore.Upload, error) {
	var u objstore.Upload
	err := c.step(ctx, "create", key, func() (e error) {
		if u, e = c.Store.Create(context.WithoutCancel(ctx), key, o); e == nil && key != objstore.ProbeKey {
			c.model.opened(c.tier, u.ID())
		}
		return e
	})
	if err != nil {
		return nil, err
	}
	return &sending{client: c, key: key, Upload: u}, nil
}

// Abandon implements objstore.Writer.
func (c client) Abandon(ctx context.Context, key, id string) error {
	return c.step(ctx, "abandon", key, func() error { return c.model.closed(c.tier, id, c.Store.Abandon(context.WithoutCancel(ctx), key, id)) })
}

// Tag implements objstore.Writer.
func (c client) Tag(ctx context.Context, key string, tags map[string]string) error {
	return c.step(ctx, "tag", key, func() error { return c.Store.Tag(context.WithoutCancel(ctx), key, tags) })
}

// Stat implements objstore.Writer.
func (c client) Stat(ctx context.Context, key string) (info objstore.Info, err error) {
	err = c.step(ctx, "stat", key, func() (e error) { info, e = c.Store.Stat(context.WithoutCancel(ctx), key); return e })
	return info, err
}

// ReadSidecar implements objstore.Writer.
func (c client) ReadSidecar(ctx context.Context, key string) (b []byte, err error) {
	err = c.step(ctx, "read", key, func() (e error) { b, e = c.Store.ReadSidecar(context.WithoutCancel(ctx), key); return e })
	return b, err
}

// sending is an upload in parts.
type sending struct {
	client
	objstore.Upload
	key string
}

// Part implements objstore.Upload.
func (s *sending) Part(ctx context.Context, n int, p []byte, crc uint64) error {
	p = bytes.Clone(p)
	return s.step(ctx, fmt.Sprintf("part %d", n), s.key, func() error { return s.Upload.Part(context.WithoutCancel(ctx), n, p, crc) })
}

// Commit implements objstore.Upload.
func (s *sending) Commit(ctx context.Context, d digest.Digest, tags map[string]string) (info objstore.Info, err error) {
	err = s.step(ctx, "commit", s.key, func() error {
		var e error
		info, e = s.Upload.Commit(context.WithoutCancel(ctx), d, tags)
		return s.model.closed(s.tier, s.ID(), s.model.made(s.depot, s.key, e))
	})
	return info, err
}

// Abort implements objstore.Upload.
func (s *sending) Abort(ctx context.Context) error {
	return s.step(ctx, "abort", s.key, func() error { return s.model.closed(s.tier, s.ID(), s.Upload.Abort(context.WithoutCancel(ctx))) })
}

// streamer is a client of a store that takes streams, as S3 does and Azure does not.
type streamer struct{ client }

// Stream implements objstore.Streamer.
func (c streamer) Stream(ctx context.Context, key string, size int64, o objstore.Options) (objstore.Stream, error) {
	var u objstore.Stream
	err := c.step(ctx, "stream", key, func() (e error) { u, e = c.Store.Stream(context.WithoutCancel(ctx), key, size, o); return e })
	if err != nil {
		return nil, err
	}
	return &streaming{client: c.client, Stream: u, ctx: ctx, key: key}, nil
}

// streaming is an object on its way in one request.
type streaming struct {
	client
	objstore.Stream
	ctx context.Context
	key string
}

// Write implements objstore.Stream. A request that breaks is gone.
func (s *streaming) Write(p []byte) (n int, err error) {
	p = bytes.Clone(p)
	err = s.call(s.ctx, "write", s.key, func() (e error) { n, e = s.Stream.Write(p); return e })
	return n, err
}

// Commit implements objstore.Stream.
func (s *streaming) Commit(ctx context.Context, d digest.Digest, tags map[string]string) (info objstore.Info, err error) {
	err = s.call(ctx, "commit", s.key, func() error {
		var e error
		info, e = s.Stream.Commit(context.WithoutCancel(ctx), d, tags)
		return s.model.made(s.depot, s.key, e)
	})
	if err == nil {
		s.process.storeSaid(ctx, "commit", s.key, nil)
	}
	return info, err
}

// Abort implements objstore.Stream.
func (s *streaming) Abort(ctx context.Context) error {
	return s.call(ctx, "abort", s.key, func() error { return s.Stream.Abort(context.WithoutCancel(ctx)) })
}
