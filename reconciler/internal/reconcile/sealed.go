package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/audit/roster"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
)

// Sealed is what the sealed log says was stored, and what was forgotten, as entries of the ledger.
func Sealed(log *audit.Log) func(context.Context) iter.Seq2[inventory.Entry, error] {
	return func(ctx context.Context) iter.Seq2[inventory.Entry, error] {
		return func(yield func(inventory.Entry, error) bool) {
			for line, err := range log.Roster(ctx) {
				if err != nil {
					yield(inventory.Entry{}, err)
					return
				}
				e := inventory.Entry{IdempotencyKey: line.IdempotencyKey, ObjectKey: line.ObjectKey, Forgotten: line.Forgotten != nil, Sealed: sealed(line)}
				for _, t := range tier.All() {
					e.First = earliest(e.First, line.In(t))
				}
				if e.First = earliest(e.First, line.Forgotten); e.First.IsZero() {
					continue
				}
				e.Newest = e.First
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// Proven returns a function that returns what the sealed log proves of an object's bytes. What it claims and cannot prove
// goes to doubt, and counts for nothing. nil without keys: nobody's checkpoints can be believed.
func Proven(log *audit.Log, doubt func(key string, err error)) func(ctx context.Context, key, objectKey string) (inventory.Sealed, error) {
	if !log.Keys.Any() {
		return nil
	}
	return func(ctx context.Context, key, objectKey string) (inventory.Sealed, error) {
		var lines roster.Collector
		found, err := log.FindIn(ctx, key)
		if err != nil && away(ctx, err) {
			return inventory.Sealed{}, err
		} else if err != nil {
			doubt(key, err)
		}
		for _, f := range found {
			for _, l := range f.Leaves {
				_, err := f.Prove(ctx, []audit.Leaf{l})
				switch {
				case err == nil:
					lines.Add(l.Leaf)
				case away(ctx, err):
					return inventory.Sealed{}, err
				default:
					doubt(key, err)
				}
			}
		}
		return sealed(lines.Line(objectKey, key)), nil
	}
}

// away says that the store did not answer, rather than that the log is not whole.
func away(ctx context.Context, err error) bool {
	store := (fault.PartOf(err) == fault.Store || fault.IsNetwork(err)) && !errors.Is(err, objstore.ErrNotExist)
	return ctx.Err() != nil || store && fault.Passes(err)
}

// sealed is what the line says the object's bytes are: all three, or nothing. Old leaves may lack one.
func sealed(l roster.Line) inventory.Sealed {
	out := inventory.Sealed{Torn: l.Differs}
	crc, err := digest.DecodeCRC64(l.CRC64NVME)
	sum, herr := hex.DecodeString(l.SHA256)
	if err == nil && herr == nil && len(sum) == sha256.Size && l.Size != nil {
		out.Digest = digest.Digest{Size: *l.Size, CRC64: crc, SHA256: l.SHA256}
	}
	return out
}

func earliest(a time.Time, b *time.Time) time.Time {
	if b == nil || !a.IsZero() && a.Before(*b) {
		return a
	}
	return *b
}
