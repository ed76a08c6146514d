package cli

import (
	"context"

	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
)

// fromRedis returns the record that Redis has. ledger.ErrNoRecord.
func (a *app) fromRedis(ctx context.Context, s config.Recording, key string) (ledger.Record, error) {
	l, err := redisledger.Open(s.Redis)
	if err != nil {
		return ledger.Record{}, err
	}
	defer func() { _ = l.Close() }()
	return l.Record(ctx, key)
}

// notes returns the ledger that a replay keeps in step, nil where its settings are of no use: a replay needs NATS alone.
func (a *app) notes() (notes letters.Notes, closeNotes func()) {
	var s config.Ledger
	if err := a.load(&s); err != nil {
		a.say("records in Redis are left as they are: %v", err)
		return nil, func() {}
	}
	l, err := redisledger.Open(s.Redis)
	if err != nil {
		a.say("records in Redis are left as they are: %v", err)
		return nil, func() {}
	}
	return l, func() { _ = l.Close() }
}
