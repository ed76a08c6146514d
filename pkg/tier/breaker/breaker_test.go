package breaker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twinreel/twinreel/pkg/tier/breaker"
)

const opened = 30 * time.Second

func given(t *testing.T, test func(t *testing.T, b *breaker.Breaker)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, breaker.New(breaker.Config{Failures: 3, Open: opened})) })
}

func is(t *testing.T, b *breaker.Breaker, want breaker.State, slots int) {
	t.Helper()
	if got, n := b.State(), b.Slots(20); got != want || n != slots {
		t.Fatalf("%s with %d slots, want %s with %d", got, n, want, slots)
	}
}

func TestOnlyFailuresInARowOpenIt(t *testing.T) {
	given(t, func(t *testing.T, b *breaker.Breaker) {
		for range 5 {
			b.Failed()
			b.Failed()
			is(t, b, breaker.Closed, 20)
			b.Wrote()
		}
		b.Failed()
		b.Failed()
		b.Failed()
		is(t, b, breaker.Open, 0)
		if got := b.Remaining(); got != opened {
			t.Errorf("remaining %s", got)
		}
	})
}

func TestOneWriteClosesWhatFailuresOpened(t *testing.T) {
	given(t, func(t *testing.T, b *breaker.Breaker) {
		fail(b)
		b.Wrote() // somebody's who was at it before: too early to count
		time.Sleep(opened - time.Nanosecond)
		is(t, b, breaker.Open, 0)
		time.Sleep(time.Nanosecond)
		is(t, b, breaker.HalfOpen, 0) // for the probe write alone
		b.Failed()
		is(t, b, breaker.Open, 0)
		time.Sleep(opened)
		b.Wrote()
		is(t, b, breaker.Closed, 20)
		if b.Remaining() != 0 {
			t.Errorf("remaining %s", b.Remaining())
		}
	})
}

func fail(b *breaker.Breaker) {
	for range 3 {
		b.Failed()
	}
}

func TestAThrottleOpensAtOnceAndForAsLongAsItAsks(t *testing.T) {
	for name, c := range map[string]struct{ asked, want time.Duration }{
		"it does not say":      {0, opened},
		"less than usual":      {2 * time.Second, 2 * time.Second},
		"more than usual":      {5 * time.Minute, 5 * time.Minute},
		"more than is sane":    {48 * time.Hour, breaker.MaxAsked},
		"nothing that is sane": {-time.Second, opened},
	} {
		t.Run(name, func(t *testing.T) {
			given(t, func(t *testing.T, b *breaker.Breaker) {
				b.Throttled(c.asked)
				is(t, b, breaker.Open, 0)
				time.Sleep(c.want - time.Nanosecond)
				is(t, b, breaker.Open, 0)
				time.Sleep(time.Nanosecond)
				is(t, b, breaker.HalfOpen, 0)
			})
		})
	}
}

func TestOfSeveralThrottlesTheLongestIsHeard(t *testing.T) {
	given(t, func(t *testing.T, b *breaker.Breaker) {
		b.Throttled(2 * time.Second)
		time.Sleep(time.Second)
		b.Throttled(10 * time.Second)
		b.Throttled(3 * time.Second)
		if got := b.Remaining(); got != 10*time.Second {
			t.Errorf("remaining %s", got)
		}
		is(t, b, breaker.Open, 0)
	})
}

func TestAfterAThrottleItClosesSlowly(t *testing.T) {
	given(t, func(t *testing.T, b *breaker.Breaker) {
		b.Throttled(time.Second)
		time.Sleep(time.Second)
		is(t, b, breaker.HalfOpen, 0)
		for _, slots := range []int{2, 4, 6, 8, 10, 12, 14, 16, 18} {
			b.Wrote()
			is(t, b, breaker.HalfOpen, slots)
		}
		b.Wrote()
		is(t, b, breaker.Closed, 20)
	})
}

func TestAThrottleOnTheWayBackBeginsAnew(t *testing.T) {
	given(t, func(t *testing.T, b *breaker.Breaker) {
		b.Throttled(time.Second)
		time.Sleep(time.Second)
		for range 9 {
			b.Wrote()
		}
		b.Throttled(4 * time.Second)
		is(t, b, breaker.Open, 0)
		time.Sleep(4 * time.Second)
		is(t, b, breaker.HalfOpen, 0)
	})
}

func TestItIsOpenForAsLongAsEitherReasonHolds(t *testing.T) {
	given(t, func(t *testing.T, b *breaker.Breaker) {
		fail(b)
		b.Throttled(time.Minute)
		time.Sleep(opened)
		is(t, b, breaker.Open, 0)
		time.Sleep(opened)
		is(t, b, breaker.HalfOpen, 0)
		b.Wrote()
		is(t, b, breaker.HalfOpen, 2)
	})
}

func TestBadSettingsAreNamed(t *testing.T) {
	for _, c := range []breaker.Config{{Failures: 0, Open: time.Second}, {Failures: 1}, {Failures: 1, Open: time.Hour}} {
		if len(c.Check()) != 1 {
			t.Errorf("%+v: %v", c, c.Check())
		}
	}
}
