package history

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
)

// FromSealed returns what the sealed log tells of a recording, also years later.
func FromSealed(js jetstream.JetStream, log *audit.Log) Sealed {
	return func(ctx context.Context, key string) (told []Entry, through uint64, err error) {
		leaves, err := log.Find(ctx, key)
		if err != nil {
			return nil, 0, err
		}
		for _, l := range leaves {
			if e, ok := FromAudit(l.Body, key); ok {
				told = append(told, e)
			}
		}
		through, err = sealedNow(ctx, js, log)
		return told, through, err
	}
}

// sealedNow is the sequence up to which the AUDIT stream, as it is now, is sealed in a store.
func sealedNow(ctx context.Context, js jetstream.JetStream, log *audit.Log) (uint64, error) {
	stream, err := js.Stream(ctx, queue.Audit)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fault.New(fault.Unavailable, fault.Queue, "ask for the stream "+queue.Audit, err)
	}
	now := epoch.Of(stream.CachedInfo().Created)
	copies, err := log.Copies(ctx)
	if err != nil {
		return 0, err
	}
	for _, of := range copies {
		if of[0].Epoch == now {
			return uint64(of[0].Size), nil
		}
	}
	return 0, nil
}
