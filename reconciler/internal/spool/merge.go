package spool

import (
	"bufio"
	"container/heap"
	"errors"
	"fmt"
	"io"
	"iter"
)

// pageSize is how many records are handed over at once: a step from one to the next costs more than all that is done
// with most of them.
const pageSize = 1024

// Pages yields all records by key, many at a time; those of a page are the caller's, its slice is not. It may be called
// again; nothing may be added after it. It stops at the first error.
func (s *Sorter) Pages() iter.Seq2[[]Record, error] {
	return func(yield func([]Record, error) bool) {
		m, err := s.merge()
		page := make([]Record, 0, pageSize)
		for err == nil {
			var r Record
			if r, err = m.next(); err != nil {
				break
			}
			if page = append(page, r); len(page) == pageSize {
				if !yield(page, nil) {
					return
				}
				page = page[:0]
			}
		}
		if len(page) > 0 && !yield(page, nil) {
			return
		}
		if !errors.Is(err, io.EOF) {
			yield(nil, err)
		}
	}
}

// All is Pages record by record.
func (s *Sorter) All() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for page, err := range s.Pages() {
			if err != nil {
				yield(Record{}, err)
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// merge begins to merge all runs, what is held being the last.
func (s *Sorter) merge() (run, error) {
	s.sort()
	last := &memory{s.held}
	if len(s.files) == 0 {
		return last, nil
	}
	return mergeOf(s.files, last)
}

// mergeOf begins to merge files and the run behind them.
func mergeOf(files []written, last run) (run, error) {
	m := &merger{}
	for i, f := range files {
		r := &file{bufio.NewReaderSize(io.NewSectionReader(f, 0, 1<<62), readBuffer)}
		if err := m.add(i, r); err != nil {
			return nil, err
		}
	}
	if err := m.add(len(files), last); err != nil {
		return nil, err
	}
	heap.Init(m)
	return m, nil
}

// merger is a heap of runs, by the record that each gives next.
type merger struct{ heads []head }

type head struct {
	Record
	from run
	nth  int // of equal keys the earlier run's comes first
}

func (m *merger) add(nth int, r run) error {
	rec, err := r.next()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	m.heads = append(m.heads, head{rec, r, nth})
	return nil
}

func (m *merger) next() (Record, error) {
	if len(m.heads) == 0 {
		return Record{}, io.EOF
	}
	out := m.heads[0].Record
	rec, err := m.heads[0].from.next()
	switch {
	case err == nil:
		if rec.Key < out.Key {
			return Record{}, damaged(fmt.Errorf("%q follows %q", rec.Key, out.Key))
		}
		m.heads[0].Record = rec
		heap.Fix(m, 0)
	case errors.Is(err, io.EOF):
		heap.Pop(m)
	default:
		return Record{}, err
	}
	return out, nil
}

// Len implements heap.Interface.
func (m *merger) Len() int { return len(m.heads) }

// Less implements heap.Interface.
func (m *merger) Less(i, j int) bool {
	a, b := &m.heads[i], &m.heads[j]
	return a.Key < b.Key || a.Key == b.Key && a.nth < b.nth
}

// Swap implements heap.Interface.
func (m *merger) Swap(i, j int) { m.heads[i], m.heads[j] = m.heads[j], m.heads[i] }

// Push implements heap.Interface. Nothing is ever pushed: heads are added before heap.Init.
func (m *merger) Push(any) { panic("nothing is ever pushed") }

// Pop implements heap.Interface.
func (m *merger) Pop() any {
	last := len(m.heads) - 1
	m.heads = m.heads[:last]
	return nil
}
