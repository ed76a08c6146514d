package intake

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/pending"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// Ledger knows which recordings were accepted before: those that an event or a dead letter names, on whose bytes the tiers
// have agreed, that were erased, or of which a store has the sidecar.
type Ledger struct {
	seed    maphash.Seed
	streams []uint64 // hashes of the keys that the streams name, sorted: eight bytes for each event
	digests jetstream.KeyValue
	erased  jetstream.KeyValue
	stores  map[tier.Tier]objstore.Reader
}

// ReadLedger reads what the streams name now, the mirror of the peer region's events included. stores are those that are asked.
func ReadLedger(ctx context.Context, js jetstream.JetStream, peer queue.Peer, stores map[tier.Tier]objstore.Reader) (*Ledger, error) {
	l := &Ledger{seed: maphash.MakeSeed(), stores: stores}
	names := []string{queue.Recordings, queue.DeadLetters}
	if peer.Known() {
		names = append(names, queue.PeerRecordings)
	}
	for _, name := range names {
		err := scan.Stream(ctx, js, name, scan.Range{}, func(m scan.Message) error {
			if key := pending.KeyOf(m.Body); key != "" {
				l.streams = append(l.streams, maphash.String(l.seed, key))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(l.streams)
	l.streams = slices.Compact(l.streams)
	var err error
	if l.digests, err = js.KeyValue(ctx, queue.Digests); err != nil {
		return nil, fault.New(fault.Unavailable, fault.Agreement, "open the bucket of digests", err)
	}
	if l.erased, err = js.KeyValue(ctx, queue.Tombstones); err != nil {
		return nil, fault.New(fault.Unavailable, fault.Queue, "open the bucket of tombstones", err)
	}
	return l, nil
}

// Known reports whether the recording was accepted before. An error says that somebody who may know did not answer.
func (l *Ledger) Known(ctx context.Context, key string) (bool, error) {
	if _, ok := slices.BinarySearch(l.streams, maphash.String(l.seed, key)); ok {
		return true, nil
	}
	for _, kv := range []jetstream.KeyValue{l.digests, l.erased} {
		_, err := kv.Get(ctx, event.HashKey(key))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, jetstream.ErrKeyNotFound) {
			return false, fault.New(fault.Unavailable, fault.Queue, "ask the bucket "+kv.Bucket(), err)
		}
	}
	for _, t := range tier.All() {
		store := l.stores[t]
		if store == nil {
			continue
		}
		_, err := store.Stat(ctx, event.SidecarKey(key))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, objstore.ErrNotExist) {
			return false, err
		}
	}
	return false, nil
}
