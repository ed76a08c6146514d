package service

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// newTestHealth returns a health with the clock of the bubble that the test runs in.
func newTestHealth() *health { return newHealth(time.Now) }

func TestNothingIsReadyBeforeItsFirstCheck(t *testing.T) {
	h := newTestHealth()
	r, err := h.report(t.Context())
	if err != nil || r.Ready || len(r.Checks) != 1 || r.Checks[0].Detail != "still starting" {
		t.Errorf("without having said what it needs: %+v, %v", r, err)
	}
	h.Check("nats", true, func(context.Context) error { return nil })
	if !h.Ready(t.Context()) {
		t.Error("a check registered later was not asked at once")
	}
}

func TestResultsAreSharedForASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHealth()
		var runs atomic.Int32
		h.Check("nats", true, func(context.Context) error {
			runs.Add(1)
			<-time.After(100 * time.Millisecond) // of the bubble's clock: everyone asks meanwhile
			return nil
		})
		var askers sync.WaitGroup
		for range 50 {
			askers.Go(func() {
				if !h.Ready(t.Context()) {
					t.Error("not ready")
				}
			})
		}
		askers.Wait()
		if n := runs.Load(); n != 1 {
			t.Errorf("50 askers at once ran the check %d times", n)
		}
		<-time.After(checkCache - time.Millisecond)
		if h.Ready(t.Context()); runs.Load() != 1 {
			t.Error("a result younger than a second was not given again")
		}
		<-time.After(2 * time.Millisecond)
		if h.Ready(t.Context()); runs.Load() != 2 {
			t.Error("a result older than a second was given again")
		}
	})
}

func TestACheckThatHangsFailsAfterItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHealth()
		release := make(chan struct{})
		defer close(release)
		h.Check("hangs", true, func(context.Context) error { <-release; return nil })
		began := time.Now()
		r, err := h.report(t.Context())
		if err != nil || r.Ready || r.Checks[0].Detail != "no answer in time" || time.Since(began) != checkTimeout {
			t.Errorf("got %+v, %v after %v", r, err, time.Since(began))
		}
	})
}

func TestAnAskerThatCannotWaitDoesNotSpoilTheResultForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHealth()
		h.Check("slow", true, func(context.Context) error { <-time.After(time.Second); return nil })
		hurried, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if h.Ready(hurried) {
			t.Error("ready before the check had answered")
		}
		if !h.Ready(t.Context()) {
			t.Error("not ready for one who waited")
		}
	})
}

func TestADetailThatFailsDecidesNothing(t *testing.T) {
	h := newTestHealth()
	h.Check("nats", true, func(context.Context) error { return nil })
	h.Check("redis", false, func(context.Context) error { return errors.New("dial redis://:hunter2@redis.example:6379 refused") })
	w := httptest.NewRecorder()
	h.serveReady(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "hunter2") || !strings.Contains(w.Body.String(), "redis.example") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestAStoppingProgramIsReadyForWhatItHoldsAndForNothingNew(t *testing.T) {
	h := newTestHealth()
	h.Check("nats", true, func(context.Context) error { return nil })
	if !h.Serving(t.Context()) {
		t.Error("ready, but nothing should be sent")
	}
	h.stopping.Store(true)
	if h.Serving(t.Context()) || !h.Ready(t.Context()) {
		t.Errorf("stopping: serving %v, ready %v", h.Serving(t.Context()), h.Ready(t.Context()))
	}
}

func TestLivezFailsWithItsChecks(t *testing.T) {
	h := newTestHealth()
	var broken atomic.Bool
	h.Alive("loop", func() error {
		if broken.Load() {
			return errors.New("stands still")
		}
		return nil
	})
	ask := func() int {
		w := httptest.NewRecorder()
		h.serveLive(w, httptest.NewRequest(http.MethodGet, "/livez", nil))
		return w.Code
	}
	if code := ask(); code != http.StatusOK {
		t.Errorf("well: got %d", code)
	}
	broken.Store(true)
	if code := ask(); code != http.StatusServiceUnavailable {
		t.Errorf("broken: got %d", code)
	}
}

func TestAddressesToListenOn(t *testing.T) {
	for addr, good := range map[string]bool{
		":9090": true, "127.0.0.1:0": true, "[::1]:80": true, "localhost:8080": true, "9090": false, "": false, ":http": false, ":65536": false, "a:b:1": false,
	} {
		if err := CheckAddr(addr); (err == nil) != good {
			t.Errorf("%q: got %v", addr, err)
		}
	}
}
