package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	"slices"
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

// errOther says that the log claims what no leaf of it proves.
var errOther = errors.New("the leaves that are proven say otherwise, or there is none")

// Proven returns a function that returns what the sealed log proves of the bytes of a recording's objects: what any store's copy
// of it proves, so that nobody who can write into one store takes the word of both away. What it claims and cannot prove goes to
// doubt, and counts for nothing. nil without keys: nobody's checkpoints can be believed.
func Proven(log *audit.Log, doubt func(key string, err error)) func(context.Context, inventory.Entry) (map[string]inventory.Sealed, error) {
	if !log.Keys.Any() {
		return nil
	}
	return func(ctx context.Context, claimed inventory.Entry) (map[string]inventory.Sealed, error) {
		leaves, doubts := log.Proven(ctx, claimed.IdempotencyKey)
		var lines roster.Collector
		for _, l := range leaves {
			lines.Add(l.Leaf)
		}
		out := map[string]inventory.Sealed{}
		for line, err := range lines.Lines() {
			if err != nil {
				return nil, err
			}
			out[line.ObjectKey] = sealed(line)
		}
		if out[claimed.ObjectKey] == claimed.Sealed {
			return out, nil
		}
		for _, err := range doubts { // who does not answer may have the proof
			if away(ctx, err) {
				return nil, err
			}
		}
		doubt(claimed.IdempotencyKey, errors.Join(append(doubts, errOther)...))
		return out, nil
	}
}

// away says that a store did not answer, rather than that the log is not whole.
func away(ctx context.Context, err error) bool {
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		return slices.ContainsFunc(several.Unwrap(), func(one error) bool { return away(ctx, one) })
	}
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
