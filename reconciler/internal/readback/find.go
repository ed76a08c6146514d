package readback

import (
	"context"
	"errors"
	"fmt"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/copies"
)

// ErrUnknown is returned for a recording of which no store that answered has a sidecar.
var ErrUnknown = errors.New("no store has a sidecar of it")

// Agreed returns what was agreed on for a recording, as the stores' sidecars say. told is told of a store whose sidecar is
// missing or could not be read. Two sidecars of which each names other bytes are no agreement, but evidence: ErrDiffers.
func Agreed(ctx context.Context, stores map[tier.Tier]objstore.Reader, key string, told func(tier.Tier, error)) (digest.Entry, error) {
	var found *digest.Entry
	var failures []error
	for _, t := range tier.All() {
		store := stores[t]
		if store == nil {
			continue
		}
		_, e, err := copies.Sidecar(ctx, store, key)
		switch {
		case err != nil:
			failures = append(failures, fmt.Errorf("%s: %w", t, err))
			told(t, err)
		case e == nil:
			told(t, objstore.ErrNotExist)
		case found != nil && (found.Digest != e.Digest || found.ObjectKey != e.ObjectKey):
			return digest.Entry{}, fmt.Errorf("%w: the sidecars in the two stores name other bytes", ErrDiffers)
		default:
			found = e
		}
	}
	switch {
	case found != nil:
		return *found, nil
	case len(failures) > 0:
		return digest.Entry{}, errors.Join(failures...)
	}
	return digest.Entry{}, ErrUnknown
}

// Well looks, without reading it, whether a store's copy can be what was agreed on. objstore.ErrNotExist, ErrDiffers.
func Well(ctx context.Context, store objstore.Reader, agreed digest.Entry) (objstore.Info, error) {
	info, err := store.Stat(ctx, agreed.ObjectKey)
	switch {
	case err != nil:
		return info, err
	case info.Size != agreed.Size:
		return info, fmt.Errorf("%w: %d bytes, agreed %d", ErrDiffers, info.Size, agreed.Size)
	case info.HasCRC64 && info.CRC64 != agreed.CRC64:
		return info, fmt.Errorf("%w: its crc64nvme is %s, agreed %s", ErrDiffers, digest.EncodeCRC64(info.CRC64), digest.EncodeCRC64(agreed.CRC64))
	}
	return info, nil
}
