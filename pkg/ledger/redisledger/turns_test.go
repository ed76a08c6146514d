package redisledger_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
)

func TestTurnsAreSharedByAllWhoAsk(t *testing.T) {
	one := open(t)
	const perSecond = 20
	var had atomic.Int64
	began := time.Now()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for time.Since(began) < time.Second {
				wait, err := one.Turn(t.Context(), "emea", perSecond)
				if err != nil {
					t.Error(err)
					return
				}
				if wait == 0 {
					had.Add(1)
					continue
				}
				<-time.After(wait)
			}
		})
	}
	all.Wait()
	if n, most := int(had.Load()), int(time.Since(began).Seconds()*perSecond)+1; n > most || n < perSecond/2 {
		t.Errorf("%d turns in %s, want at most %d and most of them", n, time.Since(began), most)
	}
	if got := one.keys(t.Context(), t); !slices.Equal(got, []string{one.prefix + ":rate:emea"}) {
		t.Errorf("keys %q", got)
	}
	if wait, err := one.Turn(t.Context(), "default", perSecond); err != nil || wait != 0 {
		t.Errorf("another name: %s %v", wait, err)
	}
}

func TestTurnsLapse(t *testing.T) {
	w := open(t)
	if _, err := w.Turn(t.Context(), "emea", 10); err != nil {
		t.Fatal(err)
	}
	if left, err := w.raw.PTTL(t.Context(), w.prefix+":rate:emea").Result(); err != nil || left <= 0 || left > 2*time.Second {
		t.Errorf("lives for %s, %v", left, err)
	}
}

func TestWithRedisAwayNobodyKnowsWhoseTurnItIs(t *testing.T) {
	w := open(t)
	w.Close()
	if _, err := w.Turn(t.Context(), "emea", 10); !fault.Is(err, fault.Unavailable, fault.Ledger) {
		t.Errorf("%v", err)
	}
}
