package route

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatARecordingCosts(t *testing.T) {
	for _, c := range []struct {
		size int64
		want int
	}{
		{0, 2},
		{1, 2},
		{8 << 20, 2},
		{8<<20 + 1, 4 + 2},
		{16 << 20, 4 + 2},
		{16<<20 + 1, 4 + 3},
		{1 << 30, 4 + 128},
		{20 << 30, 4 + 2560},
		{math.MaxInt64, 4 + 10_000},
	} {
		if got := cost(&c.size); got != c.want {
			t.Errorf("%d bytes: %d requests, want %d", c.size, got, c.want)
		}
	}
	if got := cost(nil); got != 4 {
		t.Errorf("unknown size: %d requests, want 4", got)
	}
}

// taken returns how many of the bucket's tokens are taken by trying for that long, a hundred times a second.
func taken(b *bucket, n int, d time.Duration) int {
	out := 0
	for end := time.Now().Add(d); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		for b.take(time.Now(), n) {
			out += n
		}
	}
	return out
}

func TestTheBucketHoldsItsRateAndASecondsBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(1750)
		if got := taken(b, 2, time.Minute); got < 61*1750-100 || got > 61*1750+2 {
			t.Errorf("%d tokens in a minute, want a minute's and a second's: %d", got, 61*1750)
		}
	})
}

func TestWhatCostsMoreThanTheBucketHoldsIsLetThroughOnCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(10)
		if !b.take(time.Now(), 2564) {
			t.Fatal("refused with a full bucket: then it is refused for ever")
		}
		if b.take(time.Now(), 2) {
			t.Error("let through on a debt")
		}
		<-time.After(255 * time.Second)
		if b.take(time.Now(), 2) {
			t.Error("let through before the debt was paid off")
		}
		<-time.After(time.Second)
		if !b.take(time.Now(), 2) {
			t.Error("refused although the debt is paid off")
		}
	})
}

func TestLargeOnesAreNotStarvedBySmallOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, large, small := newBucket(100), 0, 0
		for end := time.Now().Add(time.Minute); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
			for range 5 { // five times the rate
				if b.take(time.Now(), 2) {
					small++
				}
			}
			if b.take(time.Now(), 132) { // as many as a full bucket could never hold
				large++
			}
		}
		if large == 0 || small == 0 {
			t.Errorf("%d large and %d small ones were let through", large, small)
		}
		if spent := large*132 + small*2; spent > 61*100+132 {
			t.Errorf("%d requests in a minute of 100 a second", spent)
		}
	})
}

func TestLiveIngressesShareTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(900)
		taken(b, 2, time.Second) // what was saved up
		for _, c := range []struct{ live, rate int }{{3, 300}, {1, 900}, {9, 100}, {0, 900}} {
			b.share(time.Now(), c.live)
			taken(b, 2, 5*time.Second) // what a smaller share had still in hand
			if got := taken(b, 2, 10*time.Second); got < 10*c.rate-10 || got > 10*c.rate+10 {
				t.Errorf("%d live: %d tokens in 10 s, want %d", c.live, got, 10*c.rate)
			}
		}
	})
}

func TestAShareOfLessThanARequestASecondIsStillAShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(1)
		b.share(time.Now(), 10)
		<-time.After(time.Hour) // it saves up no more than one
		if got := taken(b, 1, 100*time.Second); got < 10 || got > 12 {
			t.Errorf("%d tokens in 100 s at one in 10", got)
		}
	})
}
