package roster

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/fetch"
)

// chunk is how many bytes of a segment are read at a time. A request that would last as long as the whole reading does could
// stand still for minutes, and be cut off.
const chunk = 256 << 10

// Lines yields a segment's lines, in order. Lines that are out of order, an object that is missing, or an end too early is
// an error, after which nothing is yielded.
func (s Segment) Lines(ctx context.Context, r objstore.Reader, e epoch.ID) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		in := &input{ctx: ctx, reader: r, segment: s, epoch: e}
		var before *Line
		for count := int64(0); ; count++ {
			b, err := in.line()
			if err != nil {
				yield(Line{}, err)
				return
			}
			l, lines, last, err := decode(b)
			switch {
			case err != nil:
			case last && lines != count:
				err = fmt.Errorf("%w: it has %d lines and says %d", ErrMalformed, count, lines)
			case !last && before != nil && before.compare(l) >= 0:
				err = fmt.Errorf("%w: its lines are out of order", ErrMalformed)
			}
			if err != nil {
				yield(Line{}, fmt.Errorf("roster segment %s: %w", s.Prefix(e), err))
				return
			}
			if last || !yield(l, nil) {
				return
			}
			before = &l
		}
	}
}

// input reads a segment line by line.
type input struct {
	ctx     context.Context
	reader  objstore.Reader
	segment Segment
	epoch   epoch.ID
	part    int
	off     int64
	rest    []byte // read, and not yet taken
}

// line returns the next line without its end.
func (in *input) line() ([]byte, error) {
	for {
		if at := bytes.IndexByte(in.rest, '\n'); at >= 0 {
			out := in.rest[:at]
			in.rest = in.rest[at+1:]
			return out, nil
		}
		b, err := fetch.Range(in.ctx, in.reader, in.segment.key(in.epoch, in.part), in.off, chunk)
		switch {
		case errors.Is(err, objstore.ErrNotExist):
			return nil, fmt.Errorf("roster segment: %s is missing: %w", in.segment.key(in.epoch, in.part), err)
		case err != nil:
			return nil, err
		case len(b) > 0:
			in.rest, in.off = append(in.rest[:len(in.rest):len(in.rest)], b...), in.off+int64(len(b))
			continue
		case len(in.rest) > 0 || in.off == 0:
			return nil, fmt.Errorf("roster segment: %s: %w: it ends within a line", in.segment.key(in.epoch, in.part), ErrMalformed)
		}
		in.part, in.off = in.part+1, 0
	}
}

// Merge yields the lines of several rosters in order, what they say of the same object taken together: sources come oldest
// first. It stops at the first error.
func Merge(sources []iter.Seq2[Line, error]) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		var h pulls
		defer func() {
			for _, p := range h {
				p.stop()
			}
		}()
		for i, s := range sources {
			next, stop := iter.Pull2(s)
			p := &pull{order: i, next: next, stop: stop}
			switch ok, err := p.advance(); {
			case err != nil:
				stop()
				yield(Line{}, err)
				return
			case ok:
				h = append(h, p)
			}
		}
		heap.Init(&h)
		for len(h) > 0 {
			l := h[0].line
			for first := true; len(h) > 0 && h[0].line.compare(l) == 0; first = false {
				if !first {
					l.add(h[0].line)
				}
				ok, err := h[0].advance()
				switch {
				case err != nil:
					yield(Line{}, err)
					return
				case ok:
					heap.Fix(&h, 0)
				default:
					heap.Pop(&h)
				}
			}
			if !yield(l, nil) {
				return
			}
		}
	}
}

// pull is a roster that is being read, and its next line.
type pull struct {
	order int
	line  Line
	next  func() (Line, error, bool)
	stop  func()
}

func (p *pull) advance() (ok bool, err error) {
	p.line, err, ok = p.next()
	return ok && err == nil, err
}

// pulls is a heap of rosters by their next line, the oldest first where lines are of the same object.
type pulls []*pull

func (h pulls) Len() int { return len(h) }
func (h pulls) Less(i, j int) bool {
	if c := h[i].line.compare(h[j].line); c != 0 {
		return c < 0
	}
	return h[i].order < h[j].order
}
func (h pulls) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface; nothing is ever pushed.
func (h *pulls) Push(any) {}

// Pop implements heap.Interface.
func (h *pulls) Pop() any {
	last := len(*h) - 1
	out := (*h)[last]
	*h = (*h)[:last]
	return out
}
