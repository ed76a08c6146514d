package scrub

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

// given a store that throttles, when it says how long to wait, then it is left alone for so long, and what it throttles is
// never given up.
func TestAStoreThatThrottlesIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		key := b.store("rec-1", media(1, 1000), tier.Primary)
		slow := storeFault(fault.Throttled, http.StatusServiceUnavailable)
		slow.RetryAfter = 20 * time.Minute
		var n atomic.Int64
		b.stores[tier.Primary].Before(memstore.Open, func(_ context.Context, c memstore.Call) error {
			if c.Key == key {
				if n.Add(1) <= 20 {
					return slow
				}
			}
			return nil
		})
		stop := b.run()
		defer stop()
		time.Sleep(6 * time.Hour)
		b.wantJudged(tier.Primary, nil)
		if n.Load() > 19 {
			t.Errorf("asked %d times in 6 hours", n.Load())
		}
		time.Sleep(2 * time.Hour)
		b.wantJudged(tier.Primary, map[Verdict]int{Good: 1})
	})
}

// given a store that refuses our identity, media and all, then nothing is given up as unreadable.
func TestARefusedIdentityIsNoCopysFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		for i := range 3 {
			b.store(rec(i), media(1, 1000), tier.Primary)
		}
		began := time.Now()
		b.stores[tier.Primary].Before(memstore.Open, func(_ context.Context, c memstore.Call) error {
			if c.N > 2 && time.Since(began) < 4*time.Hour { // the first and its sidecar had been read
				return storeFault(fault.Denied, http.StatusForbidden)
			}
			return nil
		})
		stop := b.run()
		defer stop()
		time.Sleep(3 * time.Hour)
		b.wantJudged(tier.Primary, map[Verdict]int{Good: 1})
		time.Sleep(2 * time.Hour)
		b.wantJudged(tier.Primary, map[Verdict]int{Good: 3})
	})
}

// given an answer that breaks off in the middle, then it is gone on with from there: no byte is hashed twice.
func TestAnAnswerThatBreaksOffIsGoneOnWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		body := media(3, 3*mib)
		key := b.store("rec-1", body, tier.Primary)
		b.anew()
		brittle := &brittle{Reader: b.stores[tier.Primary], key: key, after: mib}
		b.Stores[tier.Primary] = brittle
		b.runFor(time.Hour)
		b.wantJudged(tier.Primary, map[Verdict]int{Good: 1})
		if brittle.opened != 4 || testutil.ToFloat64(b.Metrics.bytes.WithLabelValues("primary")) != 3*mib {
			t.Errorf("opened %d times, %v bytes", brittle.opened, testutil.ToFloat64(b.Metrics.bytes.WithLabelValues("primary")))
		}
	})
}

// given a machine, or a way to the store, that garbles or cuts what is read, while the store says that the object is as it
// was, then the copy is not blamed.
func TestAGarbledReadingIsNoCopysFault(t *testing.T) {
	for name, few := range map[string]bool{"other bytes each time": false, "always the same few": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t)
				key := b.store("rec-1", media(1, 1000), tier.Primary)
				b.Stores[tier.Primary] = &garbling{Reader: b.stores[tier.Primary], key: key, few: few}
				b.runFor(time.Hour)
				b.wantJudged(tier.Primary, map[Verdict]int{Unsteady: 1})
				if b.paper.count() != 0 {
					t.Errorf("%d notes", b.paper.count())
				}
			})
		})
	}
}
