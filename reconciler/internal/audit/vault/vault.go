// Package vault is the reconciler's only way to write into a store: create-only, below audit/ and nowhere else.
package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/fetch"
)

// ErrOther is returned where an object of the key has other bytes: somebody has rewritten history, or there are two truths.
var ErrOther = errors.New("an object of that key has other bytes")

// Creator creates an object in one call, conditional on its absence: an objstore.Writer.
type Creator interface {
	Put(ctx context.Context, key string, body []byte, d digest.Digest, o objstore.Options) (objstore.Info, error)
}

// Vault adds objects to the log in one store. No other key than the log's can be written by it. It is safe for concurrent use.
type Vault struct {
	creator Creator
	reader  objstore.Reader
}

// New returns a Vault in the store that both are of.
func New(c Creator, r objstore.Reader) *Vault { return &Vault{c, r} }

// The waits before a put is tried again where the store is away, or its answer was lost.
func waits() []time.Duration {
	return []time.Duration{200 * time.Millisecond, time.Second, 3 * time.Second}
}

// Put sees to it that the object of key has these bytes, and returns nil only once the store has proved it. An object that is
// there already is compared: ErrOther where it has other bytes, and nothing is changed.
func (v *Vault) Put(ctx context.Context, key string, body []byte) error {
	if err := check(key); err != nil {
		return err
	}
	d := digest.Of(body)
	for _, wait := range append(waits(), 0) {
		err := v.once(ctx, key, body, d)
		switch {
		case err == nil, errors.Is(err, ErrOther), wait == 0, ctx.Err() != nil, !fault.Passes(err):
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(max(wait, fault.RetryAfterOf(err))):
		}
	}
	return nil
}

// check refuses what does not belong to the log.
func check(key string) error {
	if !strings.HasPrefix(key, epoch.Root) || strings.Contains(key, "..") || strings.Contains(key, "//") {
		return fault.New(fault.Permanent, fault.Store, "put "+key, fmt.Errorf("the reconciler writes below %s only", epoch.Root))
	}
	return nil
}

func (v *Vault) once(ctx context.Context, key string, body []byte, d digest.Digest) error {
	info, err := v.creator.Put(ctx, key, body, d, objstore.Options{ContentType: contentType(key)})
	if err == nil && info.Same(d) {
		return nil
	}
	if err != nil && !errors.Is(err, objstore.ErrUnknown) {
		return err
	}
	found, serr := v.reader.Stat(ctx, key)
	switch {
	case errors.Is(serr, objstore.ErrNotExist) && err != nil:
		return err
	case serr != nil:
		return serr
	case found.Same(d):
		return nil
	case found.HasCRC64 || found.Size != d.Size:
		return other(key)
	}
	return v.compare(ctx, key, body)
}

// compare reads an object of which the store tells no checksum.
func (v *Vault) compare(ctx context.Context, key string, body []byte) error {
	have, err := fetch.All(ctx, v.reader, key)
	switch {
	case err != nil:
		return err
	case !bytes.Equal(have, body):
		return other(key)
	}
	return nil
}

func other(key string) error {
	return fault.New(fault.Conflict, fault.Store, "put "+key, ErrOther)
}

// contentType is for people who look at an object in a browser.
func contentType(key string) string {
	for _, part := range []string{"/checkpoint/", "/tile/8/data/", "/roster/", epoch.Markers()} {
		if strings.Contains(key, part) {
			return "text/plain; charset=utf-8"
		}
	}
	return "application/octet-stream"
}
