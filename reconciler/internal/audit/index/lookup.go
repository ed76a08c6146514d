package index

import (
	"context"
	"fmt"
	"math"
	"math/bits"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/fetch"
)

// Lookup returns the leaves of the segment that may be of the recording whose key has the hash, in ascending order. A leaf
// of another recording may be among them, as rarely as 64 bits meet by chance.
func (s Segment) Lookup(ctx context.Context, r objstore.Reader, e epoch.ID, hash uint64) ([]int64, error) {
	n := int64(1) << s.Bits
	hi, _ := bits.Mul64(hash, uint64(n)) // how many of the entries are expected to be below
	// Evenly spread hashes are within four standard deviations of where they should be, but for one in 16,000.
	margin := int64(2*math.Sqrt(float64(n))) + 8
	from, to := max(int64(hi)-margin, 0), min(int64(hi)+margin, n)
	for {
		entries, err := s.read(ctx, r, e, from, to)
		if err != nil {
			return nil, err
		}
		below := from == 0 || entries[0].Hash < hash
		above := to == n || entries[len(entries)-1].Hash > hash
		if below && above {
			return leavesOf(entries, hash), nil
		}
		margin *= 8
		if !below {
			from = max(from-margin, 0)
		}
		if !above {
			to = min(to+margin, n)
		}
	}
}

func leavesOf(entries []Entry, hash uint64) []int64 {
	var out []int64
	for _, e := range entries {
		if e.Hash == hash {
			out = append(out, e.Leaf)
		}
	}
	return out
}

// read returns the entries of these ranks, from < to, out of the objects that have them.
func (s Segment) read(ctx context.Context, r objstore.Reader, e epoch.ID, from, to int64) ([]Entry, error) {
	var b []byte
	for at := from; at < to; {
		part, off := at>>partBits, at&(1<<partBits-1)
		n := min(to-at, 1<<partBits-off)
		key := s.Key(e, int(part))
		got, err := fetch.Range(ctx, r, key, off*entrySize, n*entrySize)
		if err != nil {
			return nil, err
		}
		if int64(len(got)) != n*entrySize {
			return nil, fmt.Errorf("%s: %w: it is too short", key, ErrMalformed)
		}
		b, at = append(b, got...), at+n
	}
	entries, err := s.decode(b)
	if err != nil {
		return nil, fmt.Errorf("index segment %s: %w", s.Key(e, 0), err)
	}
	return entries, nil
}
