package dlq

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/copies"
)

// evidence is what is known of one recording at this moment. Each part of it was answered; where one was not there is no
// evidence at all.
type evidence struct {
	tier    tier.Tier                    // whose letters are judged
	entry   *entry                       // nil: there is none
	sidecar map[tier.Tier]*digest.Entry  // nil: there is none
	object  map[tier.Tier]*objstore.Info // under the agreed key, else the event's; nil: there is none
}

// entry is the digest entry as it stands.
type entry struct {
	digest.Entry
	revision uint64
	made     time.Time // by the server's clock
}

// agreed is what both tiers must store: the digest entry, else a sidecar, the own tier's first. nil: nobody knows.
func (e evidence) agreed() *digest.Entry {
	switch {
	case e.entry != nil:
		return &e.entry.Entry
	case e.sidecar[e.tier] != nil:
		return e.sidecar[e.tier]
	}
	return e.sidecar[e.tier.Sibling()]
}

// forgotten says that the recording was erased on purpose.
func (e evidence) forgotten() bool { return e.entry != nil && e.entry.Forgotten }

// known are all that tell what was agreed on.
func (e evidence) known() []digest.Entry {
	var out []digest.Entry
	if e.entry != nil {
		out = append(out, e.entry.Entry)
	}
	for _, t := range tier.All() {
		if s := e.sidecar[t]; s != nil {
			out = append(out, *s)
		}
	}
	return out
}

// clear says that all that tell what was agreed on tell the same. If not it is evidence of harm, and nothing is done.
func (e evidence) clear() bool {
	all := e.known()
	for _, one := range all {
		if one.Forgotten || one.Digest != all[0].Digest || one.ObjectKey != all[0].ObjectKey || !bytes.Equal(one.Sidecar, all[0].Sidecar) {
			return false
		}
	}
	return true
}

// contradicted says that the event contradicts the digest entry or a sidecar.
func (e evidence) contradicted(ev event.Event) bool {
	for _, one := range e.known() {
		if ev.Contradiction(one) != "" {
			return true
		}
	}
	return false
}

// verified says that the tier holds the agreed bytes, as its store itself says of size and checksum.
func (e evidence) verified(t tier.Tier) bool {
	agreed, object := e.agreed(), e.object[t]
	return agreed != nil && object != nil && object.Same(agreed.Digest)
}

// stored says that the tier has its copy: the agreed bytes, and the sidecar that explains them.
func (e evidence) stored(t tier.Tier) bool { return e.verified(t) && e.sidecar[t] != nil }

// nowhere says that neither store has anything of the recording.
func (e evidence) nowhere() bool {
	for _, t := range tier.All() {
		if e.sidecar[t] != nil || e.object[t] != nil {
			return false
		}
	}
	return true
}

// gather asks for all that is evidence of the case, the own tier first: one that has its copy needs nobody else's answer.
// objectKey is the event's, for where nothing is agreed on.
func (f *Follower) gather(ctx context.Context, n name, objectKey string) (e evidence, err error) {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	e = evidence{tier: n.tier, sidecar: map[tier.Tier]*digest.Entry{}, object: map[tier.Tier]*objstore.Info{}}
	if e.entry, err = f.readEntry(ctx, n.key); err != nil || e.forgotten() {
		return e, err
	}
	own, sibling := n.tier, n.tier.Sibling()
	if e.sidecar[own], err = sidecar(ctx, f.Stores[own], n.key); err != nil {
		return e, err
	}
	if e.sidecar[own] != nil {
		if e.object[own], err = copies.Object(ctx, f.Stores[own], e.agreed().ObjectKey); err != nil || e.stored(own) {
			return e, err
		}
	}
	if e.sidecar[sibling], err = sidecar(ctx, f.Stores[sibling], n.key); err != nil {
		return e, err
	}
	if agreed := e.agreed(); agreed != nil {
		objectKey = agreed.ObjectKey
	}
	for _, t := range tier.All() {
		if e.object[t], err = copies.Object(ctx, f.Stores[t], objectKey); err != nil {
			return e, err
		}
	}
	return e, nil
}

// readEntry returns the digest entry, nil if there is none.
func (f *Follower) readEntry(ctx context.Context, key string) (*entry, error) {
	got, err := f.Digests.Get(ctx, event.HashKey(key))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, fault.Agreement, "read the digest entry", err)
	}
	parsed, err := digest.ParseEntry(got.Value())
	if err != nil {
		return nil, fault.New(fault.Permanent, fault.Agreement, "read the digest entry", err)
	}
	return &entry{parsed, got.Revision(), got.Created()}, nil
}

// sidecar returns the digest entry that a store's sidecar stands for, nil if there is none.
func sidecar(ctx context.Context, store objstore.Reader, key string) (*digest.Entry, error) {
	_, e, err := copies.Sidecar(ctx, store, key)
	return e, err
}
