package redisledger

import (
	"context"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/tier"
)

// lease is a claim of ours: whoever knows the token holds it.
type lease struct {
	ledger *Ledger
	id     string
	tier   tier.Tier
	token  string
	upload atomic.Pointer[string] // the last one opened, also where Redis could not be told
}

// Renew implements ledger.Lease.
func (l *lease) Renew(ctx context.Context) error {
	return l.still("renew the claim of ", l.script(ctx, l.ledger.run.renew, millis(ledger.LeaseTime)))
}

// Opened implements ledger.Lease.
func (l *lease) Opened(ctx context.Context, uploadID string) error {
	l.upload.Store(&uploadID)
	return l.still("note the upload of ", l.script(ctx, l.ledger.run.opened, l.ledger.ttl, uploadID))
}

// Finish implements ledger.Lease.
func (l *lease) Finish(ctx context.Context, c ledger.Copy) (ledger.Record, error) {
	const op = "finish the claim of "
	answer, err := l.ledger.run.finish.Run(ctx, l.ledger.client, l.keys(), l.ledger.copyArgs(l.token, l.tier, c)...).Result()
	if err != nil {
		return ledger.Record{}, unanswered(op+l.id, err)
	}
	fields, ok := answer.([]any)
	if !ok {
		return ledger.Record{}, l.lost(op)
	}
	return decode(l.id, texts(fields))
}

// Release implements ledger.Lease.
func (l *lease) Release(ctx context.Context, closed bool) error {
	upload, flag := "", "0"
	if id := l.upload.Load(); id != nil {
		upload = *id
	}
	if closed {
		flag = "1"
	}
	if err := l.script(ctx, l.ledger.run.release, l.ledger.ttl, upload, flag).Err(); err != nil {
		return unanswered("release the claim of "+l.id, err)
	}
	return nil
}

func (l *lease) keys() []string { return l.ledger.keys(l.id, l.tier) }

// script runs one that takes the token first.
func (l *lease) script(ctx context.Context, s *redis.Script, args ...any) *redis.Cmd {
	return s.Run(ctx, l.ledger.client, l.keys(), append([]any{l.token}, args...)...)
}

// still reads the answer of a script that gives 1 while the lease is ours.
func (l *lease) still(op string, answer *redis.Cmd) error {
	ours, err := answer.Int()
	switch {
	case err != nil:
		return unanswered(op+l.id, err)
	case ours == 0:
		return l.lost(op)
	}
	return nil
}

func (l *lease) lost(op string) error {
	return fault.New(fault.Transient, fault.Ledger, op+l.id, ledger.ErrLost)
}
