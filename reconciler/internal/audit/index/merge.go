package index

import (
	"container/heap"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/fetch"
)

// chunk is how many entries of a source are read at a time: 256 KiB.
const chunk = 1 << 14

// Merge makes a segment from its sources, and calls put for each of its objects in turn. It holds one object and a chunk of
// each source in memory. The sources' own checksums are held against what was read: ErrMalformed.
func (s Segment) Merge(ctx context.Context, r objstore.Reader, e epoch.ID, put func(key string, body []byte) error) error {
	var h sources
	for _, from := range s.sources() {
		src := &source{segment: from, reader: r, epoch: e, sum: sha256.New()}
		if err := src.next(ctx); err != nil {
			return err
		}
		h = append(h, src)
	}
	heap.Init(&h)
	per := int64(1) << min(s.Bits, partBits)
	for part := range s.parts() {
		body := make([]byte, 0, per*entrySize+trailer)
		for range per {
			src := h[0]
			body = appendEntry(body, src.entries[0])
			src.entries = src.entries[1:]
			if len(src.entries) > 0 {
				heap.Fix(&h, 0)
				continue
			}
			switch err := src.next(ctx); {
			case err != nil:
				return err
			case len(src.entries) == 0:
				heap.Pop(&h)
			default:
				heap.Fix(&h, 0)
			}
		}
		if err := put(s.Key(e, part), seal(body)); err != nil {
			return err
		}
	}
	return nil
}

// source is a segment that is being read from its beginning.
type source struct {
	segment Segment
	reader  objstore.Reader
	epoch   epoch.ID
	at      int64 // rank of what is read next
	sum     hash.Hash
	entries []Entry // read, and not yet taken
}

// next reads the next entries, none at the end.
func (s *source) next(ctx context.Context) error {
	n := int64(1) << s.segment.Bits
	if s.at == n {
		return nil
	}
	part, off := s.at>>partBits, s.at&(1<<partBits-1)
	inPart := min(n, 1<<partBits)
	want := min(chunk, inPart-off)
	last := off+want == inPart
	size := want * entrySize
	if last {
		size += trailer
	}
	key := s.segment.Key(s.epoch, int(part))
	b, err := fetch.Range(ctx, s.reader, key, off*entrySize, size)
	if err != nil {
		return err
	}
	if int64(len(b)) != size {
		return fmt.Errorf("%s: %w: it is too short", key, ErrMalformed)
	}
	body := b[:want*entrySize]
	_, _ = s.sum.Write(body)
	if last && string(s.sum.Sum(nil)) != string(b[len(body):]) {
		return fmt.Errorf("%s: %w: its checksum is another", key, ErrMalformed)
	}
	if last {
		s.sum.Reset()
	}
	if s.entries, err = s.segment.decode(body); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	s.at += want
	return nil
}

// sources is a heap of sources by their next entry.
type sources []*source

func (h sources) Len() int           { return len(h) }
func (h sources) Less(i, j int) bool { return compare(h[i].entries[0], h[j].entries[0]) < 0 }
func (h sources) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface; nothing is ever pushed.
func (h *sources) Push(any) {}

// Pop implements heap.Interface.
func (h *sources) Pop() any {
	last := len(*h) - 1
	out := (*h)[last]
	*h = (*h)[:last]
	return out
}
