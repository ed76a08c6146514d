package spool

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// filled returns a Sorter with these records.
func filled(t testing.TB, dir string, memory int, records []Record) *Sorter {
	s := New(dir, memory)
	for _, r := range records {
		if err := s.Add(r.Key, r.Value); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestRecordsComeBackByKeyAndThoseOfOneKeyAsTheyCame(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		keys := rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "a-", "a.", "a/b", "b", "\xff"}), 0, 60).Draw(rt, "keys")
		var in []Record
		for i, key := range keys {
			in = append(in, Record{key, []byte(fmt.Sprint(i))})
		}
		s := filled(t, dir, rapid.SampledFrom([]int{1, 100, 1000, Memory}).Draw(rt, "memory"), in)
		want := slices.Clone(in)
		slices.SortStableFunc(want, func(a, b Record) int { return cmp.Compare(a.Key, b.Key) })
		for range 2 { // it can be read again
			var got []Record
			for r, err := range s.All() {
				if err != nil {
					rt.Fatal(err)
				}
				got = append(got, r)
			}
			if !slices.EqualFunc(got, want, func(a, b Record) bool { return a.Key == b.Key && string(a.Value) == string(b.Value) }) {
				rt.Fatalf("got %v, want %v", got, want)
			}
		}
		if s.Len() != len(in) {
			rt.Fatalf("%d records, want %d", s.Len(), len(in))
		}
	})
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("%v left behind, %v", left, err)
	}
}

// More records than two levels of files hold, each a file of its own at first, and of keys that repeat.
func TestFewFilesAreOpenHoweverManyWereWritten(t *testing.T) {
	const fan, many, keys = 8, 8*8 + 7*8 + 7, 10
	s := filled(t, t.TempDir(), 1, nil)
	s.fan = fan
	most := 0
	for i := range many {
		if err := s.Add(fmt.Sprint(i%keys), fmt.Appendf(nil, "%d", i)); err != nil {
			t.Fatal(err)
		}
		most = max(most, len(s.files))
	}
	if len(s.files) != 1+2*(fan-1) || most != len(s.files) {
		t.Errorf("%d files were open", most)
	}
	n, last, lastKey := 0, -1, ""
	for r, err := range s.All() {
		if err != nil {
			t.Fatal(err)
		}
		i, err := strconv.Atoi(string(r.Value))
		if err != nil || r.Key < lastKey || r.Key == lastKey && i <= last {
			t.Fatalf("%s %d follows %s %d, %v", r.Key, i, lastKey, last, err)
		}
		n, last, lastKey = n+1, i, r.Key
	}
	if n != many {
		t.Errorf("%d records, want %d", n, many)
	}
}

func TestAPlaceThatCannotBeWrittenIsAnError(t *testing.T) {
	s := New(t.TempDir()+"/absent", 1)
	if err := s.Add("a", nil); err == nil || !strings.Contains(err.Error(), "sort on disk") {
		t.Errorf("got %v", err)
	}
}

// given a file that lost its end, or whose bytes were changed, when it is read, then there is an error and no early end.
func TestADamagedFileIsAnErrorAndNoEarlyEnd(t *testing.T) {
	for name, harm := range map[string]func(f *os.File, size int64) error{
		"shorter by a byte": func(f *os.File, size int64) error { return f.Truncate(size - 1) },
		"within a length":   func(f *os.File, size int64) error { return f.Truncate(size - 21) },
		"another length": func(f *os.File, _ int64) error {
			_, err := f.WriteAt([]byte{0xff, 0xff, 0xff, 0xff, 0x7f}, 0)
			return err
		},
		"another key": func(f *os.File, size int64) error { _, err := f.WriteAt([]byte{0}, size-20); return err },
	} {
		t.Run(name, func(t *testing.T) {
			s := filled(t, t.TempDir(), 1<<20, nil)
			for i := range 3 {
				if err := s.Add(fmt.Sprintf("key-%d", i), []byte("fifteen bytes..")); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.spill(); err != nil {
				t.Fatal(err)
			}
			info, err := s.files[0].Stat()
			if err != nil {
				t.Fatal(err)
			}
			if err := harm(s.files[0].File, info.Size()); err != nil {
				t.Fatal(err)
			}
			var last error
			for _, err := range s.All() {
				last = err
			}
			if last == nil || !strings.Contains(last.Error(), "damaged") {
				t.Errorf("got %v", last)
			}
		})
	}
}
