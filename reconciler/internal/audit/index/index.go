// Package index finds the leaves of a recording in the sealed log: for every leaf an entry of 16 bytes, the first 8 of the
// SHA-256 of the recording's idempotency key and the leaf's index, in segments that are sorted by both. A leaf that is of no
// recording has the first 8 bytes of its own hash there, so that each segment has as many entries as leaves, and hashes are
// evenly spread.
//
// Segments are of 2^8, 2^12, 2^16, 2^20 and 2^24 leaves, each made from 16 of the size below as soon as those are full, and
// follow from the leaves alone. A small segment is read whole; in a large one the place of a hash is known up to a few
// thousand entries beforehand, and only they are read.
package index

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/sizes"
)

// Sizes of an index.
const (
	entrySize = 16          // bytes
	partBits  = 20          // a segment is kept in objects of at most 2^partBits entries
	first     = 8           // the smallest segments have 2^first leaves
	step      = 4           // each next size is 2^step times as large
	largest   = 24          // the largest segments have 2^largest leaves
	trailer   = sha256.Size // at the end of each object: the SHA-256 of all before it
)

// ErrMalformed is returned for an object that is no part of an index.
var ErrMalformed = errors.New("no part of an index of the audit log")

// Entry says that a leaf is of the recording whose key has the hash.
type Entry struct {
	Hash uint64
	Leaf int64
}

func compare(a, b Entry) int {
	switch {
	case a.Hash < b.Hash:
		return -1
	case a.Hash > b.Hash:
		return 1
	}
	return int(min(max(a.Leaf-b.Leaf, -1), 1))
}

// HashOf returns the hash of an idempotency key.
func HashOf(key string) uint64 {
	sum := sha256.Sum256([]byte(key))
	return binary.BigEndian.Uint64(sum[:])
}

// EntryOf returns the entry of a leaf. key is its recording's, "" for none; hash the leaf's own.
func EntryOf(leaf int64, key string, hash tlog.Hash) Entry {
	if key == "" {
		return Entry{binary.BigEndian.Uint64(hash[:]), leaf}
	}
	return Entry{HashOf(key), leaf}
}

// Segment is the index of the leaves from N<<Bits up to, not including, (N+1)<<Bits.
type Segment struct {
	Bits int
	N    int64
}

// From is the first leaf of the segment.
func (s Segment) From() int64 { return s.N << s.Bits }

// To is the first leaf behind it.
func (s Segment) To() int64 { return (s.N + 1) << s.Bits }

// parts is in how many objects the segment is kept.
func (s Segment) parts() int { return 1 << max(s.Bits-partBits, 0) }

// Key returns the key of one of its objects.
func (s Segment) Key(e epoch.ID, part int) string {
	key := e.Key(fmt.Sprintf("index/%d/%s", s.Bits, epoch.Number(s.N)))
	if s.parts() > 1 {
		return fmt.Sprintf("%s.d/%03d", key, part)
	}
	return key
}

// Keys returns the keys of all its objects.
func (s Segment) Keys(e epoch.ID) []string {
	var out []string
	for part := range s.parts() {
		out = append(out, s.Key(e, part))
	}
	return out
}

// sources returns the segments that s is made from, none for one of the smallest.
func (s Segment) sources() []Segment { return sizes.Sources[Segment](kept(), s.Bits, s.N) }

// kept are the sizes of segments that are kept.
func kept() sizes.Sizes { return sizes.Sizes{First: first, Step: step, Largest: largest} }

// Full returns the segments that become full with the leaf of index size-1, smallest first.
func Full(size int64) []Segment { return sizes.Full[Segment](kept(), size) }

// Cover returns the fewest segments that hold the entries of a log of that size, oldest first, and the first leaf that is
// in none: fewer than 2^8 are.
func Cover(size int64) (list []Segment, tail int64) { return sizes.Cover[Segment](kept(), size) }

// Encode returns the object of one of the smallest segments. It sorts the entries.
func Encode(entries []Entry) []byte {
	slices.SortFunc(entries, compare)
	out := make([]byte, 0, len(entries)*entrySize+trailer)
	for _, e := range entries {
		out = appendEntry(out, e)
	}
	return seal(out)
}

func appendEntry(b []byte, e Entry) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, e.Hash), uint64(e.Leaf))
}

// seal appends the trailer.
func seal(b []byte) []byte {
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// decode reads entries of the segment.
func (s Segment) decode(b []byte) ([]Entry, error) {
	if len(b)%entrySize != 0 {
		return nil, fmt.Errorf("%w: it ends within an entry", ErrMalformed)
	}
	out := make([]Entry, 0, len(b)/entrySize)
	for ; len(b) > 0; b = b[entrySize:] {
		e := Entry{binary.BigEndian.Uint64(b), int64(binary.BigEndian.Uint64(b[8:]))}
		if e.Leaf < s.From() || e.Leaf >= s.To() || len(out) > 0 && compare(out[len(out)-1], e) >= 0 {
			return nil, fmt.Errorf("%w: entries are out of order, or of leaves elsewhere", ErrMalformed)
		}
		out = append(out, e)
	}
	return out, nil
}
