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

// How long Agree waits before it asks again for an entry that it could not make and does not find: the first time, and at the
// most.
const (
	lagWait = 5 * time.Millisecond
	lagMost = 500 * time.Millisecond
)

// Agree implements Agreement. It creates only; where an entry stands, that one is read. A read is answered by any replica of the
// bucket, which may not have yet what its leader has: what stands and is not found is asked for again until timeout, and so is
// what was purged in between.
func (k *KV) Agree(ctx context.Context, key string, offer Entry) (Held, error) {
	value, err := offer.Encode()
	if err != nil {
		return Held{}, fmt.Errorf("encode digest entry: %w", err)
	}
	call, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	for wait := lagWait; ; wait = min(2*wait, lagMost) {
		rev, err := k.bucket.Create(call, key, value)
		switch {
		case err == nil:
			return Held{Entry: offer, Revision: rev, Created: true}, nil
		case errors.Is(err, nats.ErrMaxPayload):
			return Held{}, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(value))
		case !errors.Is(err, jetstream.ErrKeyExists):
			return Held{}, fmt.Errorf("create digest entry: %w", err)
		}
		held, err := k.Get(call, key)
		if !errors.Is(err, ErrNoEntry) {
			return held, err
		}
		select {
		case <-time.After(wait):
		case <-call.Done():
			return Held{}, fmt.Errorf("create digest entry: it is there, and not found: %w", context.Cause(call))
		}
	}
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
