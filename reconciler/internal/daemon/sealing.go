package daemon

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/service"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit/seal"
	"github.com/twinreel/twinreel/reconciler/internal/audit/vault"
	"github.com/twinreel/twinreel/reconciler/internal/config"
)

// newSealer returns what seals the AUDIT stream into both stores. It is given vaults: nothing else in the reconciler can write
// into a store, and they write below audit/ alone.
func newSealer(ctx context.Context, s *service.Service, c config.Run, js jetstream.JetStream, p *queue.Publisher, stores map[tier.Tier]objstore.Reader) (*seal.Sealer, error) {
	primary, err := s3store.Open(ctx, c.Stores.S3)
	if err != nil {
		return nil, err
	}
	backup, err := azstore.Open(ctx, c.Stores.Azure)
	if err != nil {
		return nil, err
	}
	return &seal.Sealer{
		JS: js, Publisher: p, Keys: c.Audit.Keys, TTL: c.Room.LedgerTTL, Pace: seal.DefaultPace(), Metrics: seal.NewMetrics(s.Registry), Now: time.Now, Log: s.Log,
		Stores: map[tier.Tier]seal.Store{
			tier.Primary: {Reader: stores[tier.Primary], Vault: vault.New(primary, stores[tier.Primary])},
			tier.Backup:  {Reader: stores[tier.Backup], Vault: vault.New(backup, stores[tier.Backup])},
		},
	}, nil
}
