package tree

import (
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
)

// hashes returns the bytes of a hash tile.
func hashes(list []tlog.Hash) []byte {
	out := make([]byte, 0, len(list)*tlog.HashSize)
	for _, h := range list {
		out = append(out, h[:]...)
	}
	return out
}

// Hashes reads a hash tile of w hashes.
func Hashes(b []byte, w int) ([]tlog.Hash, error) {
	if len(b) != w*tlog.HashSize {
		return nil, fmt.Errorf("%w: it has %d bytes, want %d", errTile, len(b), w*tlog.HashSize)
	}
	out := make([]tlog.Hash, w)
	for i := range out {
		copy(out[i][:], b[i*tlog.HashSize:])
	}
	return out, nil
}

// Subtree returns the hash above 2^k hashes.
func Subtree(list []tlog.Hash) tlog.Hash {
	if len(list) == 1 {
		return list[0]
	}
	half := len(list) / 2
	return tlog.NodeHash(Subtree(list[:half]), Subtree(list[half:]))
}

// perfect returns the hashes of the largest complete subtrees of the list, left to right.
func perfect(list []tlog.Hash) []tlog.Hash {
	var out []tlog.Hash
	for len(list) > 0 {
		n := 1 << (bits.Len(uint(len(list))) - 1)
		out, list = append(out, Subtree(list[:n])), list[n:]
	}
	return out
}

// fold returns the root above complete subtrees of falling size, left to right.
func fold(list []tlog.Hash) tlog.Hash {
	if len(list) == 0 {
		return checkpoint.EmptyRoot()
	}
	h := list[len(list)-1]
	for i := len(list) - 2; i >= 0; i-- {
		h = tlog.NodeHash(list[i], h)
	}
	return h
}

// Changed reports whether the error says that what a store holds is not what its checkpoint was made from.
func Changed(err error) bool { return errors.Is(err, errTile) }
