package platform_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/platform"
	"github.com/twinreel/twinreel/pkg/settings"
)

func TestACallSendsItsTokenAndTakesItsTurn(t *testing.T) {
	var got string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.Header.Get("Content-Type") + " " + r.Header.Get("Authorization") + " " + string(b)
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, "slow down")
	})
	u := &turns{}
	api := open(t, platform.Config{Rate: 10}, u, s)
	a, err := api.Caller(settings.NewSecret(secret)).Call(t.Context(), http.MethodPost, s.URL, []byte("{}"))
	if err != nil || a.Status != http.StatusTooManyRequests || a.RetryAfter != 7*time.Second || string(a.Body) != "slow down" {
		t.Errorf("got %+v, %v", a, err)
	}
	if got != "POST application/json Bearer "+secret+" {}" || strings.Join(u.taken, " ") != "default@10" {
		t.Errorf("sent %q in turns %q", got, u.taken)
	}
}

func TestACallFetchesATokenThatIsRefusedAnewOnce(t *testing.T) {
	endpoint := granting(t)
	s := serve(t, inTurn(status(http.StatusUnauthorized), status(http.StatusOK), func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
	}))
	api := open(t, platform.Config{Rate: 10, OAuth: client(endpoint)}, &turns{}, s, endpoint)
	c := api.Caller(settings.Secret{})
	if a, err := c.Call(t.Context(), http.MethodGet, s.URL, nil); err != nil || a.Status != http.StatusOK || len(s.requests()) != 2 {
		t.Errorf("got %+v, %v after %d requests", a, err, len(s.requests()))
	}
	if a, err := c.Call(t.Context(), http.MethodGet, s.URL, nil); err != nil || a.Status != http.StatusUnauthorized || len(s.requests()) != 4 {
		t.Errorf("refused for good: got %+v, %v after %d requests", a, err, len(s.requests()))
	}
}

func TestACallWithoutAnAnswerIsAFaultWithoutItsAddress(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	api := open(t, platform.Config{Rate: 10}, &turns{}, s)
	_, err := api.Caller(settings.NewSecret(secret)).Call(t.Context(), http.MethodGet, s.URL+"/?"+secret, nil)
	if !fault.Is(err, fault.Unavailable, fault.Platform) || strings.Contains(err.Error(), secret) {
		t.Errorf("got %v", err)
	}
	long := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 2<<20)) })
	api = open(t, platform.Config{Rate: 10}, &turns{}, long)
	if _, err := api.Caller(settings.NewSecret(secret)).Call(t.Context(), http.MethodGet, long.URL, nil); !fault.Is(err, fault.Corrupt, fault.Platform) {
		t.Errorf("without end: got %v", err)
	}
}

func TestACallThatHasToWaitTooLongIsThrottled(t *testing.T) {
	s := serve(t, status(http.StatusOK))
	api := open(t, platform.Config{Rate: 10}, &turns{wait: time.Minute}, s)
	if _, err := api.Caller(settings.NewSecret(secret)).Call(t.Context(), http.MethodGet, s.URL, nil); !fault.Is(err, fault.Throttled, fault.Platform) || len(s.requests()) != 0 {
		t.Errorf("got %v after %d requests", err, len(s.requests()))
	}
}
