package daemon

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
	"github.com/twinreel/twinreel/reconciler/internal/history"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
	"github.com/twinreel/twinreel/reconciler/internal/pending"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
)

// find looks for one recording.
func (p *parts) find(ctx context.Context, key string) (history.Recording, error) {
	f := history.Finder{
		Record: p.redis.Record, Stream: p.inStream, Letters: p.given, Stores: p.stores, Erased: p.erased, Quarantined: p.quarantined,
		Log: history.Log(p.inLog, history.FromSealed(p.js, &audit.Log{Stores: p.stores})),
		Aside: func(who string, err error) {
			if err != nil {
				p.Log.Warn("a recording's record is put together without an answer", zap.String("recording_id", key), zap.String("of", who),
					zap.String("error", fault.Text(err)))
			}
		},
	}
	return f.Find(ctx, key)
}

// inStream looks among the events that are not finished.
func (p *parts) inStream(ctx context.Context, key string) (history.Recording, error) {
	m, err := p.index.Find(ctx, key)
	if errors.Is(err, pending.ErrUnknown) {
		return history.Recording{}, history.ErrUnknown
	}
	if err != nil {
		return history.Recording{}, err
	}
	return history.FromEvent(key, m), nil
}

// letterPatience is how long the index of RECORDINGS_DLQ may need: where it is still being read, a record that others know is
// answered without.
const letterPatience = 2 * time.Second

// given looks among the dead letters.
func (p *parts) given(ctx context.Context, key string) ([]letters.Full, error) {
	ctx, cancel := context.WithTimeout(ctx, letterPatience)
	defer cancel()
	return p.letters.Find(ctx, key)
}

// logPatience is how long the index of AUDIT may need: where it is still being read, a record is answered without.
const logPatience = 2 * time.Second

// inLog looks among the audit events that are not sealed.
func (p *parts) inLog(ctx context.Context, key string, sealed uint64) (told []history.Entry, whole bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, logPatience)
	defer cancel()
	found, whole, err := p.log.Find(ctx, key, sealed)
	for _, m := range found {
		if e, ok := history.FromAudit(m.Body, key); ok {
			told = append(told, e)
		}
	}
	return told, whole, err
}

func (p *parts) erased(ctx context.Context, key string) (erasure.Tombstone, error) {
	stones, err := erasure.Open(ctx, p.js)
	if err != nil {
		return erasure.Tombstone{}, err
	}
	return stones.Find(ctx, key)
}

func (p *parts) quarantined(ctx context.Context, key string) (quarantine.Record, error) {
	book, err := quarantine.Open(ctx, p.js)
	if err != nil {
		return quarantine.Record{}, err
	}
	return book.Get(ctx, key)
}
