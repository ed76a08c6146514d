// Package copies tells what a store holds of one recording.
package copies

import (
	"context"
	"errors"
	"io"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// Sidecar returns a store's sidecar of the recording, and the digest entry that it stands for: its bytes, object key and
// digest. nil if there is none. A fault of class Conflict says that the object at its key is no sidecar of the recording.
func Sidecar(ctx context.Context, store objstore.Reader, key string) (*event.Sidecar, *digest.Entry, error) {
	const op = "read the sidecar"
	body, err := store.Open(ctx, event.SidecarKey(key), 0, objstore.MaxSidecar)
	if errors.Is(err, objstore.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = body.Close() }()
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, nil, err
	}
	s, err := event.ParseSidecar(b)
	if err != nil {
		return nil, nil, fault.New(fault.Conflict, fault.Store, op, err)
	}
	d, err := s.Digest()
	if err != nil {
		return nil, nil, fault.New(fault.Conflict, fault.Store, op, err)
	}
	if s.IdempotencyKey != key {
		return nil, nil, fault.New(fault.Conflict, fault.Store, op, errors.New("it is another recording's"))
	}
	return &s, &digest.Entry{Digest: d, ObjectKey: s.ObjectKey, Sidecar: b}, nil
}

// Object returns what a store holds under the key, nil if nothing, and nothing is asked where the key is empty.
func Object(ctx context.Context, store objstore.Reader, key string) (*objstore.Info, error) {
	if key == "" {
		return nil, nil
	}
	info, err := store.Stat(ctx, key)
	switch {
	case errors.Is(err, objstore.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &info, nil
}
