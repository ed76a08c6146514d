package evidence

import (
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

// patience is for all that is evidence of one recording.
const patience = 30 * time.Second

// Source is who is asked. It is safe for concurrent use.
type Source struct {
	Digests jetstream.KeyValue // the bucket twinreel-digests
	Peer    jetstream.KeyValue // the mirror of the peer region's, which is asked where the own has nothing; nil: there is none
	Stores  map[tier.Tier]objstore.Reader
}

// Gather asks for all that is evidence of the recording. objectKey is where its media are looked for if nothing is agreed
// on.
func (s Source) Gather(ctx context.Context, key, objectKey string) (*Evidence, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	e, err := s.begin(ctx, tier.Primary, key)
	if err != nil {
		return nil, err
	}
	for _, t := range tier.All() {
		if err := s.sidecar(ctx, e, t, key); err != nil {
			return nil, err
		}
	}
	return e, s.objects(ctx, e, objectKey)
}

// GatherFor asks as Gather does, tier t first: if t has its copy, its sibling is not asked, and nobody is where the recording
// was forgotten.
func (s Source) GatherFor(ctx context.Context, t tier.Tier, key, objectKey string) (*Evidence, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	e, err := s.begin(ctx, t, key)
	if err != nil {
		return nil, err
	}
	if e.Forgotten() {
		return e, nil
	}
	if err := s.sidecar(ctx, e, t, key); err != nil {
		return nil, err
	}
	if e.Sidecar[t] != nil {
		if e.Object[t], err = copies.Object(ctx, s.Stores[t], e.Agreed().ObjectKey); err != nil || e.Stored(t) {
			return e, err
		}
	}
	if err := s.sidecar(ctx, e, t.Sibling(), key); err != nil {
		return nil, err
	}
	return e, s.objects(ctx, e, objectKey)
}

func (s Source) begin(ctx context.Context, first tier.Tier, key string) (e *Evidence, err error) {
	e = &Evidence{
		Sidecar: map[tier.Tier]*digest.Entry{}, Foreign: map[tier.Tier]error{}, Object: map[tier.Tier]*objstore.Info{}, first: first, Regions: s.Peer != nil,
	}
	e.Entry, err = s.entry(ctx, key)
	return e, err
}

// sidecar asks for one tier's sidecar.
func (s Source) sidecar(ctx context.Context, e *Evidence, t tier.Tier, key string) error {
	_, entry, err := copies.Sidecar(ctx, s.Stores[t], key)
	if fault.ClassOf(err) == fault.Conflict && err != nil {
		e.Foreign[t], err = err, nil
	}
	e.Sidecar[t] = entry
	return err
}

// objects asks both tiers for the media.
func (s Source) objects(ctx context.Context, e *Evidence, objectKey string) (err error) {
	if agreed := e.Agreed(); agreed != nil && agreed.ObjectKey != "" {
		objectKey = agreed.ObjectKey
	}
	for _, t := range tier.All() {
		if e.Object[t], err = copies.Object(ctx, s.Stores[t], objectKey); err != nil {
			return err
		}
	}
	return nil
}

// entry returns the digest entry, nil if there is none. The peer region's has the revision 0: it cannot be changed here.
func (s Source) entry(ctx context.Context, key string) (*Entry, error) {
	e, err := entryIn(ctx, s.Digests, key)
	if e != nil || err != nil || s.Peer == nil {
		return e, err
	}
	if e, err = entryIn(ctx, s.Peer, key); e != nil {
		e.Revision = 0
	}
	return e, err
}

func entryIn(ctx context.Context, bucket jetstream.KeyValue, key string) (*Entry, error) {
	got, err := bucket.Get(ctx, event.HashKey(key))
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
	return &Entry{parsed, got.Revision(), got.Created()}, nil
}
