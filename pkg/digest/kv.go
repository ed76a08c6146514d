package digest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// KV is the Agreement over the JetStream bucket twinreel-digests.
type KV struct {
	bucket  jetstream.KeyValue
	timeout time.Duration
}

// NewKV returns the agreement in that bucket. Each request is given up after timeout.
func NewKV(bucket jetstream.KeyValue, timeout time.Duration) *KV {
	return &KV{bucket: bucket, timeout: timeout}
}

// Agree implements Agreement. It creates only; where an entry stands, that one is read.
func (k *KV) Agree(ctx context.Context, key string, offer Entry) (Held, error) {
	value, err := offer.Encode()
	if err != nil {
		return Held{}, fmt.Errorf("encode digest entry: %w", err)
	}
	call, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	rev, err := k.bucket.Create(call, key, value)
	if err == nil {
		return Held{Entry: offer, Revision: rev, Created: true}, nil
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		return Held{}, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(value))
	}
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return Held{}, fmt.Errorf("create digest entry: %w", err)
	}
	held, err := k.Get(ctx, key)
	if errors.Is(err, ErrNoEntry) {
		// Purged between the two calls: no agreement yet, so ask again as if there had been no answer.
		return Held{}, fmt.Errorf("create digest entry: purged meanwhile")
	}
	return held, err
}

// Get implements Agreement.
func (k *KV) Get(ctx context.Context, key string) (Held, error) { return k.Confirm(ctx, key, Held{}) }

// Confirm implements Agreement. What stands at the same revision is the same, and need not be read again.
func (k *KV) Confirm(ctx context.Context, key string, held Held) (Held, error) {
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	got, err := k.bucket.Get(ctx, key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return Held{}, ErrNoEntry
	case err != nil:
		return Held{}, fmt.Errorf("read digest entry: %w", err)
	case got.Revision() == held.Revision:
		return held, nil
	}
	e, err := ParseEntry(got.Value())
	if err != nil {
		return Held{}, err
	}
	return Held{Entry: e, Revision: got.Revision()}, nil
}

// Replace implements Agreement.
func (k *KV) Replace(ctx context.Context, key string, revision uint64, e Entry) (Held, error) {
	value, err := e.Encode()
	if err != nil {
		return Held{}, fmt.Errorf("encode digest entry: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	rev, err := k.bucket.Update(ctx, key, value, revision)
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return Held{}, ErrChanged
	}
	if err != nil {
		return Held{}, fmt.Errorf("replace digest entry: %w", err)
	}
	return Held{Entry: e, Revision: rev}, nil
}
