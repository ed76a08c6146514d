// Package spool sorts more records than memory holds: it fills a buffer, writes it out sorted, and merges what it wrote.
// Its files have no name, so that nothing is left behind however the program ends.
package spool

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Memory is how many bytes of records a Sorter holds before it writes them out.
const Memory = 16 << 20

// overhead is what a record costs in memory beside its bytes.
const overhead = 56

// readBuffer is the buffer of each file that is merged.
const readBuffer = 32 << 10

// Record is what is sorted.
type Record struct {
	Key   string
	Value []byte
}

// Sorter takes records in any order, and gives them back by key; those of one key in the order in which they came. It is
// not for concurrent use.
type Sorter struct {
	dir    string
	memory int
	held   []Record
	size   int
	files  []*os.File
	count  int
}

// New returns an empty Sorter that holds up to memory bytes and writes what is more into dir; "" is the system's own
// place for temporary files.
func New(dir string, memory int) *Sorter { return &Sorter{dir: dir, memory: memory} }

// Len returns how many records were added.
func (s *Sorter) Len() int { return s.count }

// Add takes a record. An error is the disk's.
func (s *Sorter) Add(key string, value []byte) error {
	s.held = append(s.held, Record{key, value})
	s.count++
	if s.size += len(key) + len(value) + overhead; s.size < s.memory {
		return nil
	}
	return s.spill()
}

// Close gives up all that is held and written.
func (s *Sorter) Close() error {
	var all []error
	for _, f := range s.files {
		all = append(all, f.Close())
	}
	s.files, s.held = nil, nil
	return errors.Join(all...)
}

func (s *Sorter) sort() {
	slices.SortStableFunc(s.held, func(a, b Record) int { return cmp.Compare(a.Key, b.Key) })
}

// spill writes what is held into a file of its own.
func (s *Sorter) spill() (err error) {
	f, err := os.CreateTemp(s.dir, "twinreel-*.spool")
	if err != nil {
		return fmt.Errorf("sort on disk: %w", err)
	}
	s.files = append(s.files, f)
	if err := os.Remove(f.Name()); err != nil {
		return fmt.Errorf("sort on disk: %w", err)
	}
	s.sort()
	w := bufio.NewWriterSize(f, 256<<10)
	var head []byte
	for _, r := range s.held {
		head = binary.AppendUvarint(head[:0], uint64(len(r.Key)))
		head = binary.AppendUvarint(head, uint64(len(r.Value)))
		if _, err = w.Write(head); err == nil {
			if _, err = w.WriteString(r.Key); err == nil {
				_, err = w.Write(r.Value)
			}
		}
		if err != nil {
			return fmt.Errorf("sort on disk: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("sort on disk: %w", err)
	}
	clear(s.held)
	s.held, s.size = s.held[:0], 0
	return nil
}

// run is one sorted row of records.
type run interface {
	// next returns io.EOF after the last.
	next() (Record, error)
}

// memory is a run that was never written.
type memory struct{ left []Record }

func (m *memory) next() (Record, error) {
	if len(m.left) == 0 {
		return Record{}, io.EOF
	}
	r := m.left[0]
	m.left = m.left[1:]
	return r, nil
}

// file is a run that was written.
type file struct{ r *bufio.Reader }

// longest bounds what is believed of a record's length.
const longest = 64 << 20

func (f *file) next() (Record, error) {
	key, err := binary.ReadUvarint(f.r)
	if err != nil {
		return Record{}, err // io.EOF only where not a byte was left
	}
	value, err := binary.ReadUvarint(f.r)
	if err != nil {
		return Record{}, damaged(err)
	}
	if key > longest || value > longest {
		return Record{}, damaged(errors.New("no record can be so long"))
	}
	b := make([]byte, key+value)
	if _, err := io.ReadFull(f.r, b); err != nil {
		return Record{}, damaged(err)
	}
	return Record{string(b[:key]), b[key:]}, nil
}

// damaged is the error of a file that is not what was written: never an early end.
func damaged(err error) error { return fmt.Errorf("sort on disk: a file is damaged: %s", err.Error()) }
