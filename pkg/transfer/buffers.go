package transfer

import (
	"context"
	"math/bits"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// Buffers hands out the memory for media, bounded over the whole process. Who waits is served in order.
//
// Whoever asks for a buffer holds none that waits for the one asked for: a part in hand is on its way to the store and
// comes back by itself. So waiting cannot end in a deadlock, however small the bound.
type Buffers struct {
	part  int
	limit int64
	sem   *semaphore.Weighted
	used  atomic.Int64
	pools [maxClass + 1]sync.Pool // by size class: a power of two, of minClass bits and up
}

// Size classes: 4 KiB to 1 GiB.
const (
	minClass = 12
	maxClass = 30
)

// NewBuffers returns Buffers of at most limit bytes in all, for parts of part bytes; limit is at least part.
func NewBuffers(limit int64, part int) *Buffers {
	return &Buffers{part: part, limit: limit, sem: semaphore.NewWeighted(limit)}
}

// Buffer is memory on loan.
type Buffer struct {
	B      []byte
	weight int64
	class  int
	from   *Buffers
}

// Part returns the size of a part in bytes.
func (b *Buffers) Part() int { return b.part }

// Used returns the bytes on loan.
func (b *Buffers) Used() int64 { return b.used.Load() }

// Get returns a buffer of n bytes, at most one part, once there is room. It fails only when ctx ends.
func (b *Buffers) Get(ctx context.Context, n int) (*Buffer, error) {
	class := max(minClass, bits.Len(uint(max(n, 1)-1)))
	size := 1 << class
	if n > size/2 && size > b.part {
		size, class = b.part, maxClass // a part that is no power of two has a pool of its own
	}
	weight := min(int64(size), b.limit)
	if err := b.sem.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	b.used.Add(weight)
	mem, _ := b.pools[class].Get().(*[]byte)
	if mem == nil || cap(*mem) < size {
		fresh := make([]byte, size)
		mem = &fresh
	}
	return &Buffer{B: (*mem)[:n], weight: weight, class: class, from: b}, nil
}

// Free gives the buffer back. It may be called once.
func (u *Buffer) Free() {
	mem := u.B[:cap(u.B)]
	u.B = nil
	u.from.pools[u.class].Put(&mem)
	u.from.used.Add(-u.weight)
	u.from.sem.Release(u.weight)
}
