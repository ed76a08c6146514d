package platform_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/platform"
)

func TestATurnIsWaitedForButNotForLong(t *testing.T) {
	to := &turns{wait: time.Millisecond}
	a := open(t, platform.Config{}, to)
	got := make(chan error, 1)
	go func() { got <- a.Turn(t.Context(), "default") }()
	for to.count() < 3 {
		<-time.After(time.Millisecond)
	}
	to.set(0, nil)
	if err := <-got; err != nil {
		t.Error(err)
	}
	to.set(time.Minute, nil)
	err := a.Turn(t.Context(), "default")
	if !fault.Is(err, fault.Throttled, fault.Platform) || fault.RetryAfterOf(err) < time.Minute {
		t.Errorf("a long wait: %v, again after %s", err, fault.RetryAfterOf(err))
	}
	to.set(5*time.Second, nil)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := a.Turn(ctx, "default"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestWithoutTheFleetsCountAProcessTakesATenth lets a process ask as fast as it can while nobody can tell it about others.
func TestWithoutTheFleetsCountAProcessTakesATenth(t *testing.T) {
	a := open(t, platform.Config{Rate: 200}, &turns{err: errAway})
	began, n := time.Now(), 0
	for time.Since(began) < 500*time.Millisecond {
		if err := a.Turn(t.Context(), "default"); err != nil {
			t.Fatal(err)
		}
		n++
	}
	if most := int(time.Since(began).Seconds()*20) + 1; n > most || n < 3 {
		t.Errorf("%d turns in %s, at most %d are its share", n, time.Since(began), most)
	}
	slow := open(t, platform.Config{Rate: 1}, &turns{err: errAway})
	for _, source := range []string{"default", "emea"} { // each on its own
		if err := slow.Turn(t.Context(), source); err != nil {
			t.Errorf("%s: %v", source, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := slow.Turn(ctx, "default"); !errors.Is(err, context.Canceled) { // ten seconds are left to wait
		t.Errorf("a second one: %v", err)
	}
}

func (u *turns) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.taken)
}

func (u *turns) set(wait time.Duration, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.wait, u.err = wait, err
}
