package digest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Known is the part of an Agreement that is only asked.
type Known interface {
	// Get returns the entry that holds. ErrNoEntry.
	Get(ctx context.Context, key string) (Held, error)
}

// Regions is the Agreement of a region that has a peer over the same two stores: it knows what was agreed on there, and
// writes here alone. Nothing keeps both from agreeing at the same moment. Where they agreed on the same bytes, each with its
// own sidecar, both take the same one of the two as soon as they know of both; where they agreed on others, the stores take
// one object, and the other is a conflict that is noticed.
//
// What was forgotten in either region is forgotten. An entry of the peer's has the revision 0 here.
type Regions struct {
	Own  Agreement
	Peer Known
	// Stones are its tombstones, nil where they need not be asked: what was forgotten has an entry that says so, too.
	Stones Known
	// Follow says that the peer's word comes first: these are its recordings. Else ours does, and the peer's where we have none.
	Follow bool
}

// Get implements Agreement.
func (r *Regions) Get(ctx context.Context, key string) (Held, error) {
	own, err := r.Own.Get(ctx, key)
	if err != nil && !errors.Is(err, ErrNoEntry) || own.Forgotten {
		return own, err
	}
	here := err == nil
	theirs, err := r.peers(ctx, key)
	switch {
	case errors.Is(err, ErrNoEntry) && here:
		return own, nil
	case err != nil:
		return Held{}, err
	case !here || theirs.Forgotten:
		return theirs, nil
	case own.Digest == theirs.Digest && own.ObjectKey == theirs.ObjectKey:
		if bytes.Compare(own.Sidecar, theirs.Sidecar) <= 0 {
			return own, nil
		}
		return theirs, nil
	case r.Follow:
		return theirs, nil
	}
	return own, nil
}

// peers is what the peer holds. ErrNoEntry.
func (r *Regions) peers(ctx context.Context, key string) (Held, error) {
	if r.Stones != nil {
		stone, err := r.Stones.Get(ctx, key)
		if !errors.Is(err, ErrNoEntry) {
			return stone, err
		}
	}
	theirs, err := r.Peer.Get(ctx, key)
	theirs.Revision, theirs.Created = 0, false
	return theirs, err
}

// Agree implements Agreement: where the peer has an entry, and here is none, that one holds.
func (r *Regions) Agree(ctx context.Context, key string, offer Entry) (Held, error) {
	theirs, err := r.peers(ctx, key)
	if errors.Is(err, ErrNoEntry) {
		return r.Own.Agree(ctx, key, offer)
	}
	return theirs, err
}

// Confirm implements Agreement.
func (r *Regions) Confirm(ctx context.Context, key string, _ Held) (Held, error) {
	return r.Get(ctx, key)
}

// Replace implements Agreement. The peer's entry is not ours to set: what the tier holds beside it stands.
func (r *Regions) Replace(ctx context.Context, key string, revision uint64, e Entry) (Held, error) {
	if revision == 0 {
		return Held{Entry: e}, nil
	}
	return r.Own.Replace(ctx, key, revision, e)
}

// Tombstones asks a bucket of tombstones: an entry that says that the recording was forgotten, or none.
type Tombstones struct{ kv *KV }

// NewTombstones returns what that bucket knows. Each request is given up after timeout.
func NewTombstones(bucket jetstream.KeyValue, timeout time.Duration) Tombstones {
	return Tombstones{NewKV(bucket, timeout)}
}

// Get implements Known. Whatever a tombstone says, it says that.
func (t Tombstones) Get(ctx context.Context, key string) (Held, error) {
	ctx, cancel := context.WithTimeout(ctx, t.kv.timeout)
	defer cancel()
	_, err := t.kv.bucket.Get(ctx, key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return Held{}, ErrNoEntry
	case err != nil:
		return Held{}, fmt.Errorf("read tombstone: %w", err)
	}
	return Held{Entry: Entry{Forgotten: true}}, nil
}
