package transfer

import (
	"context"
	"math/bits"
	"sync"

	"golang.org/x/sync/semaphore"
)

// Buffers hands out the memory for media, bounded over the whole process, what is kept for the next use included. Who
// waits is served in order, so that small and large recordings get on side by side.
//
// Whoever asks for a buffer holds none that waits for the one asked for: a part in hand is on its way to the store and
// comes back by itself. So waiting cannot end in a deadlock, however small the bound.
type Buffers struct {
	part  int
	limit int64
	sem   *semaphore.Weighted

	mu     sync.Mutex
	used   int64            // on loan
	spare  int64            // in kept
	kept   map[int][][]byte // by size; no more than limit together with what is on loan
	shares map[*Share]struct{}
}

// Sizes of buffers are powers of two from this one on, and the part's.
const minBits = 12

// NewBuffers returns Buffers of at most limit bytes in all, for parts of part bytes; limit is at least part.
func NewBuffers(limit int64, part int) *Buffers {
	return &Buffers{part: part, limit: limit, sem: semaphore.NewWeighted(limit), kept: map[int][][]byte{}, shares: map[*Share]struct{}{}}
}

// Buffer is memory on loan.
type Buffer struct {
	B     []byte
	size  int
	from  *Buffers
	share *Share
}

// Part returns the size of a part in bytes.
func (b *Buffers) Part() int { return b.part }

// Used returns the bytes on loan.
func (b *Buffers) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// Held returns the bytes on loan and those kept for the next use.
func (b *Buffers) Held() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used + b.spare
}

// Get returns a buffer of n bytes, at most one part, once there is room. It fails only when ctx ends.
func (b *Buffers) Get(ctx context.Context, n int) (*Buffer, error) {
	size := 1 << max(minBits, bits.Len(uint(max(n, 1)-1)))
	if size > b.part {
		size = b.part
	}
	if err := b.sem.Acquire(ctx, int64(size)); err != nil {
		return nil, err
	}
	mem := b.take(size)
	if mem == nil {
		mem = make([]byte, size)
	}
	return &Buffer{B: mem[:n], size: size, from: b}, nil
}

// take notes size bytes as on loan and returns them, or nil where they have to be made. What is kept in other sizes is
// let go as far as the bound asks for it.
func (b *Buffers) take(size int) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += int64(size)
	if mem, ok := b.pop(size); ok {
		return mem
	}
	for other := range b.kept {
		for b.used+b.spare > b.limit {
			if _, ok := b.pop(other); !ok {
				break
			}
		}
	}
	return nil
}

// pop takes a kept buffer. The lock is held.
func (b *Buffers) pop(size int) ([]byte, bool) {
	list := b.kept[size]
	if len(list) == 0 {
		return nil, false
	}
	mem := list[len(list)-1]
	list[len(list)-1] = nil
	b.kept[size] = list[:len(list)-1]
	b.spare -= int64(size)
	return mem, true
}

// Free gives the buffer back. It may be called once.
func (u *Buffer) Free() {
	b := u.from
	b.mu.Lock()
	b.used -= int64(u.size)
	b.spare += int64(u.size)
	b.kept[u.size] = append(b.kept[u.size], u.B[:u.size])
	u.B = nil
	if u.share != nil {
		u.share.held--
		u.share.look()
	}
	b.mu.Unlock()
	b.sem.Release(int64(u.size))
}
