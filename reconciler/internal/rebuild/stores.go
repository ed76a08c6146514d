package rebuild

import (
	"context"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/copies"
)

// asks is how often a store is asked that does not answer.
const asks = 4

// again says how long to wait before it is asked once more.
func again(n int) time.Duration {
	return queue.Schedule{Base: 250 * time.Millisecond, Cap: 5 * time.Second}.Delay(n)
}

// asked calls ask until it answers, a few times.
func asked(ctx context.Context, ask func() error) (err error) {
	for n := 1; ; n++ {
		err = ask()
		class := fault.ClassOf(err)
		if err == nil || n == asks || class == fault.Denied || class == fault.Permanent || class == fault.Conflict || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(again(n)):
		}
	}
}

// proven asks the tier's store whether it holds what the log told of: that size, and that checksum where it has one.
func (r *Rebuilder) proven(ctx context.Context, t tier.Tier, key string, d digest.Digest) (info objstore.Info, there bool, err error) {
	err = asked(ctx, func() error {
		found, err := copies.Object(ctx, r.Stores[t], key)
		if found != nil {
			info = *found
			there = info.Size == d.Size && (!info.HasCRC64 || info.CRC64 == d.CRC64)
		}
		return err
	})
	return info, there, err
}

// ask asks the stores for the copies that the record does not have, by their sidecars, and fills them in.
func (r *Rebuilder) ask(ctx context.Context, key string, have *ledger.Record) error {
	for _, t := range tier.All() {
		if have.Side(t) != nil {
			continue
		}
		var agreed *digest.Entry
		var found *objstore.Info
		err := asked(ctx, func() (err error) {
			if _, agreed, err = copies.Sidecar(ctx, r.Stores[t], key); err == nil && agreed != nil {
				found, err = copies.Object(ctx, r.Stores[t], agreed.ObjectKey)
			}
			return err
		})
		if fault.ClassOf(err) == fault.Conflict && err != nil {
			continue // what is at its key is no sidecar of it: nothing is proven
		}
		if err != nil {
			return err
		}
		if found == nil || !found.Same(agreed.Digest) {
			continue
		}
		side := ledger.Stored{Bucket: r.Stores[t].Bucket(), Key: found.Key, ETag: found.ETag, VersionID: found.VersionID, Timestamp: found.Modified.UTC()}
		have.SetSide(t, &side)
		if err := r.fill(ctx, key, t, side, agreed.Digest, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}
