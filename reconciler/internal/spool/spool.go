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

// fan is how many files of one level are merged into one of the next. So at most 254 are open for 256 GiB: within the limit of
// open files that any system grants.
const fan = 128

// written is a file, and how often its records were merged.
type written struct {
	*os.File
	level int
}

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
	fan    int
	held   []Record
	size   int
	files  []written // in the order of what was added; their levels never rise
	count  int
}

// New returns an empty Sorter that holds up to memory bytes and writes what is more into dir; "" is the system's own
// place for temporary files.
func New(dir string, memory int) *Sorter { return &Sorter{dir: dir, memory: memory, fan: fan} }

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
func (s *Sorter) spill() error {
	s.sort()
	f, err := s.write(&memory{s.held})
	if err != nil {
		return err
	}
	s.files = append(s.files, written{f, 0})
	clear(s.held)
	s.held, s.size = s.held[:0], 0
	return s.condense()
}

// condense merges files while there are so many of one level: the newest, which stand last, so that the order among equal keys
// stays.
func (s *Sorter) condense() error {
	for {
		n := len(s.files) - s.fan
		if n < 0 || s.files[n].level != s.files[len(s.files)-1].level {
			return nil
		}
		m, err := mergeOf(s.files[n:], &memory{})
		if err != nil {
			return err
		}
		f, err := s.write(m)
		if err != nil {
			return err
		}
		level := s.files[n].level + 1
		for _, old := range s.files[n:] {
			_ = old.Close() // it was only read
		}
		s.files = append(s.files[:n], written{f, level})
	}
}

// write writes a run into a new file.
func (s *Sorter) write(from run) (f *os.File, err error) {
	f, err = os.CreateTemp(s.dir, "twinreel-*.spool")
	if err != nil {
		return nil, fmt.Errorf("sort on disk: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	if err := os.Remove(f.Name()); err != nil {
		return nil, fmt.Errorf("sort on disk: %w", err)
	}
	w := bufio.NewWriterSize(f, 256<<10)
	for {
		r, err := from.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := put(w, r); err != nil {
			return nil, fmt.Errorf("sort on disk: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return nil, fmt.Errorf("sort on disk: %w", err)
	}
	return f, nil
}

// put writes one record. What the writer could not write it says again at each call, so once is enough.
func put(w *bufio.Writer, r Record) error {
	head := binary.AppendUvarint(w.AvailableBuffer(), uint64(len(r.Key)))
	_, _ = w.Write(binary.AppendUvarint(head, uint64(len(r.Value))))
	_, _ = w.WriteString(r.Key)
	_, err := w.Write(r.Value)
	return err
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
