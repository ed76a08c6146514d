package inventory

import (
	"fmt"
	"iter"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// keyOf is the i-th key of the synthetic lists: ascending, of a usual length.
func keyOf(b []byte, i int) string {
	b = append(b[:0], "recordings/rec-8a7f3b2c-9d4e-4f1a-b5c6-"...)
	for shift := 32; shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[i>>shift&15])
	}
	return string(append(b, ".wav"...))
}

// synthetic yields a list of n items, page by page, in one page's memory. Each 1000th from skip on is left out.
func synthetic[T any](n, skip int, item func(key string) T) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		page := make([]T, 0, pageSize)
		var b []byte
		for i := range n {
			if skip > 0 && i%1000 == skip {
				continue
			}
			if page = append(page, item(keyOf(b, i))); len(page) == pageSize {
				if !yield(page, nil) {
					return
				}
				page = page[:0]
			}
		}
		yield(page, nil)
	}
}

func listing(n, skip int) iter.Seq2[[]Listed, error] {
	return synthetic(n, skip, func(key string) Listed {
		return Listed{Key: key, Size: 1 << 20, ETag: "d41d8cd98f00b204e9800998ecf8427e", Versions: 1, Visible: true, Alike: true}
	})
}

func ledgerOf(n, skip int) iter.Seq2[[]Expected, error] {
	return synthetic(n, skip, func(key string) Expected {
		return Expected{Key: key, Entry: Entry{IdempotencyKey: key[11:], ObjectKey: key}}
	})
}

// produce makes the three lists and throws them away: the floor.
func produce(n int) (count int) {
	for page := range listing(n, 1) {
		count += len(page)
	}
	for page := range listing(n, 2) {
		count += len(page)
	}
	for page := range ledgerOf(n, 3) {
		count += len(page)
	}
	return count
}

// worked is the processor time that this process has had: unlike time on the wall it does not hang on who else is at work.
func worked(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak runs f and returns how much processor time it took and the most memory, in bytes, that the Go runtime had of the
// system.
func peak(t *testing.T, f func()) (took time.Duration, most uint64) {
	t.Helper()
	runtime.GC()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		var m runtime.MemStats
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapSys-m.HeapReleased+m.StackSys)
			}
		}
	}()
	start := worked(t)
	f()
	took = worked(t) - start
	close(stop)
	<-done
	return took, most
}

// given lists of millions of keys, of which each lacks some, when they are merged, then every gap is seen, at half the pace
// at least at which the lists can be made and thrown away, in memory that does not grow with them.
func TestTheMergeKeepsPaceInFlatMemory(t *testing.T) {
	largest := 500_000
	if s := os.Getenv("TWINREEL_TEST_KEYS"); s != "" { // 10,000,000 is what is promised
		var err error
		if largest, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	var memory []uint64
	for _, n := range []int{largest / 10, largest} {
		var ratios []float64
		for range 5 {
			floor, _ := peak(t, func() { produce(n) })
			var gaps int
			took, most := peak(t, func() {
				counts, err := Merge(listing(n, 1), listing(n, 2), ledgerOf(n, 3), func(r *Row) error {
					if r.Primary == nil || r.Backup == nil || r.Ledger == nil {
						gaps++
					}
					return nil
				})
				if err != nil || counts.Keys != int64(n) {
					t.Errorf("%+v, %v", counts, err)
				}
			})
			if want := 3 * n / 1000; gaps != want {
				t.Errorf("%d gaps, want %d", gaps, want)
			}
			ratios = append(ratios, float64(floor)/float64(took))
			memory = append(memory, most)
			t.Logf("%d keys: %.0f/s, %.2f of the floor's pace, %d MiB", n, float64(n)/took.Seconds(), float64(floor)/float64(took), most>>20)
		}
		slices.Sort(ratios)
		if ratios[2] < 0.5 && !raceEnabled {
			t.Errorf("%d keys: %.2f of the floor's pace, want 0.5", n, ratios[2])
		}
	}
	small, large := slices.Max(memory[:5]), slices.Max(memory[5:])
	if large > 200<<20 || large > small+(32<<20) {
		t.Errorf("%d MiB for %d keys, %d MiB for %d", small>>20, largest/10, large>>20, largest)
	}
}

// given a ledger whose events come in any order, when it is read, then its memory is bounded by what a spool holds.
func TestTheLedgersMemoryDoesNotGrowWithIt(t *testing.T) {
	n := 300_000
	if s := os.Getenv("TWINREEL_TEST_KEYS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	l := NewLedger(t.TempDir())
	defer func() { _ = l.Close() }()
	var read int
	took, most := peak(t, func() {
		for i := range n {
			id := fmt.Sprintf("rec-%012d", (i*7919)%n)
			if err := l.Add(Entry{IdempotencyKey: id, ObjectKey: "recordings/" + id + ".wav", First: time.UnixMilli(int64(i)), Newest: time.UnixMilli(int64(i)), Sequence: uint64(i)}); err != nil {
				t.Fatal(err)
			}
		}
		for page, err := range l.Pages() {
			if err != nil {
				t.Fatal(err)
			}
			read += len(page)
		}
	})
	t.Logf("%d recordings: %d keys, %.0f recordings/s, %d MiB", n, read, float64(n)/took.Seconds(), most>>20)
	if read != 2*n || most > 200<<20 {
		t.Errorf("%d keys of %d recordings, %d MiB", read, n, most>>20)
	}
}
