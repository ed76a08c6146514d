package digest_test

import (
	"math/rand/v2"
	"testing"

	"github.com/twinreel/twinreel/pkg/digest"
)

func TestCombinedChecksumsAreTheWholes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, sizes := range [][]int{{0}, {1}, {0, 0}, {1, 0, 1}, {5, 3}, {4096, 4096, 17}, {1 << 20, 1, 1 << 20}} {
		var whole []byte
		var crc uint64
		for _, size := range sizes {
			part := make([]byte, size)
			for i := range part {
				part[i] = byte(random.Uint32())
			}
			whole = append(whole, part...)
			crc = digest.Combine(crc, digest.CRC64(part), int64(size))
		}
		if want := digest.CRC64(whole); crc != want {
			t.Errorf("%v: %016x, want %016x", sizes, crc, want)
		}
	}
}

func TestCombiningMindsTheOrder(t *testing.T) {
	a, b := digest.CRC64([]byte("one")), digest.CRC64([]byte("two"))
	if digest.Combine(a, b, 3) == digest.Combine(b, a, 3) {
		t.Error("the parts could be swapped unseen")
	}
}
