// Package digest is about what both tiers must store: the digest of a recording's bytes, and the entry on which the two
// tiers agree before either commits.
//
// The agreement lives in the replicated JetStream KV bucket twinreel-digests, not in Redis, which may forget. Whoever
// comes first creates the entry; whoever comes second stores exactly that, or does not store at all.
package digest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"

	"github.com/minio/crc64nvme"
)

// Digest is what identifies a recording's bytes. The zero value is the digest of nothing yet, not of zero bytes.
type Digest struct {
	SHA256 string // lower-case hex
	CRC64  uint64 // CRC-64/NVME of the whole object
	Size   int64  // bytes
}

// Known reports whether d holds a digest.
func (d Digest) Known() bool { return d.SHA256 != "" }

// Hasher computes a Digest in one pass. The zero value is not ready: use NewHasher. Not for concurrent use.
type Hasher struct {
	sha  hash.Hash
	crc  uint64
	size int64
}

// NewHasher returns a Hasher that has seen no bytes.
func NewHasher() *Hasher { return &Hasher{sha: sha256.New()} }

// slice is how many bytes are hashed at a time, by both algorithms: what the first has read the second still finds in
// the processor's cache.
const slice = 64 << 10

// Write takes in p. It never fails.
func (h *Hasher) Write(p []byte) (int, error) {
	h.crc = h.take(h.crc, p)
	return len(p), nil
}

// Part takes in p, a part of its own, and returns its CRC-64/NVME. No byte is read twice: the whole's checksum is
// combined from the parts'.
func (h *Hasher) Part(p []byte) uint64 {
	crc := h.take(0, p)
	h.crc = Combine(h.crc, crc, int64(len(p)))
	return crc
}

// take hashes p and returns crc carried on over it.
func (h *Hasher) take(crc uint64, p []byte) uint64 {
	h.size += int64(len(p))
	for len(p) > 0 {
		n := min(len(p), slice)
		h.sha.Write(p[:n])
		crc = crc64nvme.Update(crc, p[:n])
		p = p[n:]
	}
	return crc
}

// Digest returns the digest of all bytes written so far.
func (h *Hasher) Digest() Digest {
	return Digest{SHA256: hex.EncodeToString(h.sha.Sum(nil)), CRC64: h.crc, Size: h.size}
}

// Of returns the digest of p.
func Of(p []byte) Digest {
	h := NewHasher()
	_, _ = h.Write(p)
	return h.Digest()
}

// CRC64 returns the CRC-64/NVME of p, which guards one part on its way.
func CRC64(p []byte) uint64 { return crc64nvme.Update(0, p) }

// EncodeCRC64 returns crc as everything outside the program shows it: base64 of 8 bytes big-endian, as S3 does.
func EncodeCRC64(crc uint64) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc))
}

// DecodeCRC64 is the inverse of EncodeCRC64.
func DecodeCRC64(s string) (uint64, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != 8 {
		return 0, fmt.Errorf("crc64nvme %q: want base64 of 8 bytes", s)
	}
	return binary.BigEndian.Uint64(b), nil
}
