package inventory

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
)

// shelf is a store with versions that can only be listed.
type shelf struct {
	objstore.Reader
	versions []objstore.Info // by key, newest first
	// breaks says after how many versions the n-th listing breaks off, and how; nil: it does not.
	breaks func(n int) (after int, err error)
	wait   func(ctx context.Context, after, key string) // before a key of the range above after is yielded

	mu      sync.Mutex
	asked   int
	atWork  int
	asks    []string // each listing's beginning
	mostNow int      // listings at once
}

func (s *shelf) begin(after string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.atWork = s.asked+1, s.atWork+1
	s.asks, s.mostNow = append(s.asks, after), max(s.mostNow, s.atWork)
	return s.asked
}

func (s *shelf) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.atWork--
}

// busy returns how many listings are on their way.
func (s *shelf) busy() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.atWork
}

func (s *shelf) ListRange(ctx context.Context, after, through string) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		n := s.begin(after)
		defer s.end()
		left, broken := -1, error(nil)
		if s.breaks != nil {
			left, broken = s.breaks(n)
		}
		for _, v := range s.versions {
			if v.Key <= after || through != "" && v.Key > through {
				continue
			}
			if s.wait != nil {
				s.wait(ctx, after, v.Key)
			}
			if err := ctx.Err(); err != nil {
				yield(objstore.Info{}, fault.New(fault.ClassOf(err), fault.Store, "list", err))
				return
			}
			if left == 0 {
				break
			}
			left--
			if !yield(v, nil) {
				return
			}
		}
		if broken != nil {
			yield(objstore.Info{}, broken)
		}
	}
}

// fill puts n keys with up to three versions each on the shelf, and returns what a listing has to say of them.
func (s *shelf) fill(n int, r *rand.Rand) (want []Listed) {
	for i := range n {
		l := Listed{Key: fmt.Sprintf("recordings/rec-%05d.wav", i), Size: 10, ETag: "e", Versions: 1 + r.IntN(3), Visible: r.IntN(8) > 0, Alike: true}
		for v := range l.Versions {
			one := objstore.Info{Key: l.Key, Size: l.Size, ETag: l.ETag, VersionID: fmt.Sprint("v", v), Latest: l.Visible && v == 0}
			if v > 0 && r.IntN(4) == 0 {
				one.ETag, l.Alike = "another", false
			}
			s.versions = append(s.versions, one)
			if r.IntN(100) == 0 {
				s.versions = append(s.versions, one) // as versitygw does at the border of a page
			}
		}
		want = append(want, l)
	}
	return want
}

func (s *shelf) lister(bounds ...string) Lister {
	return Lister{Store: s, Bounds: bounds, Waits: Waits(), Pause: func(context.Context, time.Duration) {}}
}

// drain reads a listing to its end.
func drain(pages iter.Seq2[[]Listed, error]) (all []Listed, err error) {
	for page, err := range pages {
		if err != nil {
			return all, err
		}
		for _, l := range page {
			l.version = ""
			all = append(all, l)
		}
	}
	return all, nil
}

func away() error { return fault.New(fault.Unavailable, fault.Store, "list", errors.New("no answer")) }

// given any store, listed in any ranges, each listing of which may break off anywhere, when it is listed, then each key comes
// once, in order, with all its versions.
func TestAListingHasEachKeyOnceHoweverItIsPartedAndBroken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		r := rand.New(rand.NewPCG(seed, 1))
		s := &shelf{}
		want := s.fill(rapid.IntRange(0, 3*pageSize).Draw(t, "keys"), r)
		var bounds []string
		for range rapid.IntRange(0, 9).Draw(t, "bounds") {
			bounds = append(bounds, fmt.Sprintf("recordings/rec-%05d.wav", r.IntN(4*pageSize)))
		}
		slices.Sort(bounds)
		bounds = slices.Compact(bounds)
		often := rapid.SampledFrom([]int{0, 2, 3}).Draw(t, "every how-manieth breaks")
		s.breaks = func(n int) (int, error) {
			if often == 0 || n%often != 0 {
				return -1, nil
			}
			return rand.New(rand.NewPCG(seed, uint64(n))).IntN(2 * pageSize), away()
		}
		got, err := drain(s.lister(bounds...).Pages(context.Background()))
		if !slices.Equal(got, want) || err != nil {
			t.Fatalf("%d keys, %v; want %d", len(got), err, len(want))
		}
		if s.busy() != 0 || s.mostNow > ahead {
			t.Fatalf("%d listings on their way, %d at once", s.busy(), s.mostNow)
		}
	})
}

func TestAStoreInMemoryIsListedThroughAnAbsence(t *testing.T) {
	s := memstore.New("bucket")
	var want []string
	for i := range 50 {
		want = append(want, fmt.Sprintf("k-%02d", i))
		s.Plant(want[i], memstore.Object{Body: []byte("x")})
	}
	s.Before(memstore.List, memstore.Nth(2, away()))
	l := Lister{Store: s, Bounds: []string{"k-10", "k-30"}, Waits: Waits(), Pause: func(context.Context, time.Duration) {}}
	all, err := drain(l.Pages(t.Context()))
	var got []string
	for _, one := range all {
		got = append(got, one.Key)
	}
	if err != nil || !slices.Equal(got, want) || s.Calls(memstore.List) != 4 {
		t.Errorf("got %q after %d listings, %v", got, s.Calls(memstore.List), err)
	}
}

func TestWhatCannotSucceedIsNotTriedAgainAndNothingIsForEver(t *testing.T) {
	throttled := fault.New(fault.Throttled, fault.Store, "list", errors.New("slow down"))
	throttled.Status, throttled.RetryAfter = http.StatusServiceUnavailable, time.Hour
	for name, c := range map[string]struct {
		err   error
		asked int
		waits time.Duration // at least, each
	}{
		"denied":      {fault.New(fault.Denied, fault.Store, "list", errors.New("403")), 1, 0},
		"permanent":   {fault.New(fault.Permanent, fault.Store, "list", errors.New("400")), 1, 0},
		"unavailable": {away(), tries, 400 * time.Millisecond},
		"transient":   {fault.New(fault.Transient, fault.Store, "list", errors.New("reset")), tries, 400 * time.Millisecond},
		"throttled":   {throttled, tries, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			s := &shelf{breaks: func(int) (int, error) { return 1, c.err }}
			s.versions = []objstore.Info{{Key: "a", VersionID: "2"}, {Key: "a", VersionID: "1"}}
			l, waits := s.lister(), 0
			l.Pause = func(_ context.Context, d time.Duration) {
				if waits++; d < c.waits {
					t.Errorf("waits %s, want %s", d, c.waits)
				}
			}
			got, err := drain(l.Pages(t.Context()))
			if !errors.Is(err, c.err) || len(got) != 0 || s.asked != c.asked || waits != c.asked-1 {
				t.Errorf("got %v, %v; asked %d, waited %d times; want %d", got, err, s.asked, waits, c.asked)
			}
		})
	}
}

// given a listing that breaks off more often than one place may, but gets on each time, then it is whole.
func TestProgressIsForgivenEveryFailure(t *testing.T) {
	s := &shelf{breaks: func(n int) (int, error) {
		if n > 4*tries {
			return -1, nil
		}
		return 2, away() // the second may have more versions, and is asked for again
	}}
	for i := range 5 * tries {
		s.versions = append(s.versions, objstore.Info{Key: fmt.Sprintf("%03d", i)})
	}
	got, err := drain(s.lister().Pages(t.Context()))
	if err != nil || len(got) != 5*tries {
		t.Errorf("%d keys, %v", len(got), err)
	}
}

func TestAListingOutOfOrderIsAnError(t *testing.T) {
	for name, keys := range map[string][]string{
		"descends":             {"c", "b"},
		"below the range":      {"a"},
		"above the range":      {"c", "x"},
		"a key comes back":     {"c", "d", "c"},
		"its end again":        {"a", "b"},
		"far below, in a page": {"c", "d", "e", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &crooked{keys: keys}
			l := Lister{Store: s, Waits: Waits(), Pause: func(context.Context, time.Duration) {}}
			_, err := l.list(t.Context(), "b", "m", func([]Listed) bool { return true })
			if err == nil || !fault.Passes(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// crooked lists its keys whatever it is asked for.
type crooked struct {
	objstore.Reader
	keys []string
}

func (c *crooked) ListRange(context.Context, string, string) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		for _, k := range c.keys {
			if !yield(objstore.Info{Key: k}, nil) {
				return
			}
		}
	}
}

func TestAReaderThatStopsEarlyLeavesNothingRunning(t *testing.T) {
	s := &shelf{}
	s.fill(5000, rand.New(rand.NewPCG(1, 1)))
	s.wait = func(ctx context.Context, after, _ string) {
		if after != "" { // a store that is slow to notice that nobody waits for it
			<-ctx.Done()
			for range 1000 {
				runtime.Gosched()
			}
		}
	}
	for _, err := range s.lister("recordings/rec-01000.wav", "recordings/rec-02000.wav", "recordings/rec-03000.wav").Pages(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if n := s.busy(); n != 0 {
		t.Errorf("%d listings are still on their way", n)
	}
}

// given ranges side by side, when the listing is told to stop while the first is on its way and the second is listed, then
// what it ends with is the error: the second must not look as if it followed the first.
func TestAListingThatIsToldToStopEndsWithAnErrorBeforeTheHole(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := &shelf{}
	s.fill(3*pageSize, rand.New(rand.NewPCG(1, 1)))
	const bound, stops = "recordings/rec-00009.wav", "recordings/rec-00004.wav"
	handedOver := fmt.Sprintf("recordings/rec-%05d.wav", 12+pageSize) // by then the second range's first page is
	listed, once := make(chan struct{}), sync.Once{}
	s.wait = func(ctx context.Context, after, key string) {
		switch {
		case after == bound && key == handedOver:
			once.Do(func() { close(listed) })
		case after == "" && key == stops:
			<-listed
			cancel()
			<-ctx.Done()
		}
	}
	got, err := drain(s.lister(bound).Pages(ctx))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	if len(got) > 0 && got[len(got)-1].Key >= stops {
		t.Errorf("%q came after a hole", got[len(got)-1].Key)
	}
	if s.busy() != 0 {
		t.Error("a listing is still on its way")
	}
}
