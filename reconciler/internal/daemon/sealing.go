package daemon

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/seal"
	"github.com/twinreel/twinreel/reconciler/internal/audit/vault"
	"github.com/twinreel/twinreel/reconciler/internal/config"
)

// Sealing is what the AUDIT stream is sealed by.
type Sealing struct {
	JS        jetstream.JetStream
	Peer      queue.Peer
	Publisher *queue.Publisher
	Stores    config.Stores
	Readers   map[tier.Tier]objstore.Reader
	Keys      func() (checkpoint.Keys, error)
	TTL       time.Duration // how long the stream keeps what is sealed
	Metrics   *seal.Metrics // nil: none
	Log       *zap.Logger
}

// NewSealer returns what seals the AUDIT stream into both stores. It is given vaults: nothing else in the reconciler can write
// into a store, and they write below audit/ alone.
func NewSealer(ctx context.Context, s Sealing) (*seal.Sealer, error) {
	primary, err := s3store.Open(ctx, s.Stores.S3)
	if err != nil {
		return nil, err
	}
	backup, err := azstore.Open(ctx, s.Stores.Azure)
	if err != nil {
		return nil, err
	}
	var peer jetstream.JetStream
	if s.Peer.Known() {
		if peer, err = s.Peer.JetStream(s.JS); err != nil {
			return nil, err
		}
	}
	stores := s.Readers
	return &seal.Sealer{
		JS: s.JS, Peer: peer, Publisher: s.Publisher, Keys: s.Keys, TTL: s.TTL, Pace: seal.DefaultPace(), Metrics: s.Metrics, Now: time.Now, Log: s.Log,
		Stores: map[tier.Tier]seal.Store{
			tier.Primary: {Reader: stores[tier.Primary], Vault: vault.New(primary, stores[tier.Primary])},
			tier.Backup:  {Reader: stores[tier.Backup], Vault: vault.New(backup, stores[tier.Backup])},
		},
	}, nil
}
