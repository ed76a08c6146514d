// Package seal writes the sealed log: the leader reads the AUDIT stream in order, makes tiles and checkpoints of it (package
// tree) and adds them to both stores, create-only.
//
// All that is written follows from the stream alone, so two leaders at once write the same bytes, and a leader that is killed
// is finished by the next. Each store is sealed by itself, from its own last checkpoint on: one that is away for a week stops
// nothing, and goes on from the stream, or, where that has been purged meanwhile, from the other store's log.
package seal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/vault"
)

// Store is one store's log: how it is read, and how it is added to.
type Store struct {
	Reader objstore.Reader
	Vault  *vault.Vault
}

// Pace says when is sealed.
type Pace struct {
	// Messages that wait to be sealed, or the Age of the oldest, make a checkpoint. Each checkpoint costs a handful of objects
	// that stay for ever: the incomplete tiles at the tree's edge.
	Messages uint64
	Age      time.Duration
	Look     time.Duration // between two looks at the stream
	Purge    time.Duration // between two looks at what can be purged
	// Patience is how long a store may keep from an answer before something is decided without it: what an epoch follows on,
	// and that a message is lost.
	Patience time.Duration
}

// DefaultPace seals some thousands of messages at a time, and none later than five minutes.
func DefaultPace() Pace {
	return Pace{Messages: 4096, Age: 5 * time.Minute, Look: 5 * time.Second, Purge: time.Minute, Patience: time.Hour}
}

// Sealer seals the AUDIT stream. Its fields are set before Run and not changed.
type Sealer struct {
	JS        jetstream.JetStream
	Peer      jetstream.JetStream // the other region's, whose log is in the same stores; nil: there is none
	Publisher *queue.Publisher    // of marks
	Stores    map[tier.Tier]Store
	Keys      func() (checkpoint.Keys, error) // asked again and again, so that keys may change
	TTL       time.Duration                   // how long the stream keeps what is sealed
	Pace      Pace
	Metrics   *Metrics
	Now       func() time.Time
	Log       *zap.Logger

	once   sync.Once
	tracks map[tier.Tier]*track
}

// Run seals until ctx ends. Any of NATS and the stores may be away at any time.
func (s *Sealer) Run(ctx context.Context) {
	s.prepare()
	s.Metrics.begin()
	defer s.Metrics.end()
	var all sync.WaitGroup
	defer all.Wait()
	for _, t := range s.tracks {
		all.Go(func() { s.every(ctx, s.Pace.Look, "seal the audit log in "+t.tier.String(), t.advance) })
	}
	all.Go(func() { s.every(ctx, s.Pace.Purge, "purge the AUDIT stream", s.purge) })
	s.every(ctx, s.Pace.Look, "mark how far the audit log is sealed", func(ctx context.Context) error { return s.mark(ctx, false) })
}

// Once seals all that the stream holds now, in each store that answers, whatever its age, and purges what can be. It returns
// what kept it from more.
func (s *Sealer) Once(ctx context.Context) error {
	s.prepare()
	before := s.advance(ctx)
	if err := s.mark(ctx, true); err != nil {
		return errors.Join(before, err)
	}
	return errors.Join(s.advance(ctx), s.purge(ctx))
}

// advance seals in all stores side by side.
func (s *Sealer) advance(ctx context.Context) error {
	tiers := tier.All()
	errs := make([]error, len(tiers))
	var all sync.WaitGroup
	for i, name := range tiers {
		if t := s.tracks[name]; t != nil {
			all.Go(func() { errs[i] = t.advance(ctx) })
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

func (s *Sealer) prepare() {
	s.once.Do(func() {
		if s.Metrics == nil {
			s.Metrics = &Metrics{}
		}
		s.tracks = map[tier.Tier]*track{}
		for name, store := range s.Stores {
			s.tracks[name] = &track{Sealer: s, tier: name, store: store}
		}
	})
}

// every does something again and again until ctx ends, and logs what keeps it from it, once for each trouble.
func (s *Sealer) every(ctx context.Context, wait time.Duration, what string, do func(context.Context) error) {
	said := ""
	for ctx.Err() == nil {
		err := do(ctx)
		text := fault.Text(err)
		switch {
		case ctx.Err() != nil, err == nil:
		case alarming(err):
			s.Log.Error("the audit log needs a look: "+what, zap.String("error", text)) // every time: it will not mend itself
		case text != said:
			s.Log.Warn("cannot "+what, zap.String("error", text))
		}
		said = text
		pause := wait
		if err != nil && alarming(err) {
			pause = max(wait, time.Minute)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// stream returns the AUDIT stream as it is now, and the epoch that it is.
func (s *Sealer) stream(ctx context.Context) (jetstream.Stream, *jetstream.StreamInfo, epoch.ID, error) {
	stream, err := s.JS.Stream(ctx, queue.Audit)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil, "", fmt.Errorf("stream %s: %w", queue.Audit, queue.ErrNotProvisioned)
	}
	if err != nil {
		return nil, nil, "", fmt.Errorf("stream %s: %w", queue.Audit, err)
	}
	info := stream.CachedInfo()
	return stream, info, epoch.Of(info.Created), nil
}

// reach is how far each store is sealed in the epoch, of those that are known.
func (s *Sealer) reach(e epoch.ID) (known int, least, most int64) {
	for _, t := range s.tracks {
		size, ok := t.reached(e)
		if !ok {
			continue
		}
		if known == 0 || size < least {
			least = size
		}
		known, most = known+1, max(most, size)
	}
	return known, least, most
}

// markSubject is where marks are published.
func markSubject() string { return queue.AuditSubject(string(event.AuditMark), event.AuditAll) }
