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

// ledger returns the ledger for what works without one, nil where its settings are of no use; what says what is left undone.
func (a *app) ledger(what string) (l *redisledger.Ledger, closeLedger func()) {
	var s config.Ledger
	err := a.load(&s)
	if err == nil {
		if l, err = redisledger.Open(s.Redis); err == nil {
			return l, func() { _ = l.Close() }
		}
	}
	a.say("%s: %v", what, err)
	return nil, func() {}
}

// notes returns the ledger that a replay keeps in step, nil where its settings are of no use: a replay needs NATS alone.
func (a *app) notes() (notes letters.Notes, closeNotes func()) {
	l, closeLedger := a.ledger("records in Redis are left as they are")
	if l == nil {
		return nil, closeLedger
	}
	return l, closeLedger
}
