package register

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/platform"
)

const where = "https://hooks.example.com/api/v1/webhooks/recording-complete"

func TestTheBodyIsTheGuides(t *testing.T) {
	w := New("Dual-Write Recording Orchestrator", where, map[string]string{"X-Webhook-Source": "GenesysCloud", "X-Environment": "production"})
	b, err := json.Marshal(w)
	want := `{"name":"Dual-Write Recording Orchestrator","url":"` + where + `","event":"RECORDING_COMPLETED","enabled":true,` +
		`"contentType":"application/json","retryCount":3,"retryDelay":15000,"headers":{"X-Environment":"production","X-Webhook-Source":"GenesysCloud"}}`
	if err != nil || string(b) != want {
		t.Errorf("got\n%s\nwant\n%s", b, want)
	}
}

func TestOnlyTheEventWithMediaIsTaken(t *testing.T) {
	if err := CheckEvent("RECORDING_COMPLETED"); err != nil {
		t.Error(err)
	}
	for event, words := range map[string]string{"RECORDING_STARTED": "neither a media link nor", "recording_completed": "RECORDING_COMPLETED", "": "RECORDING_COMPLETED"} {
		if err := CheckEvent(event); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: got %v", event, err)
		}
	}
}

func TestAddressesThatLayRecordingsOpenAreRefused(t *testing.T) {
	for address, ok := range map[string]bool{
		where: true, "http://127.0.0.1:8080/x": true, "http://[::1]/x": true, "http://localhost/x": true, "http://hooks.example.com/x": false,
		"http://10.0.0.1/x": false, "https://user:pw@hooks.example.com/x": false, "ftp://hooks.example.com": false, "hooks.example.com": false, "": false,
	} {
		if err := CheckURL(address, false); (err == nil) != ok {
			t.Errorf("%q: got %v", address, err)
		}
	}
	if err := CheckURL("http://hooks.example.com/x", true); err != nil {
		t.Errorf("allowed: %v", err)
	}
	if !OursByPath(where) || OursByPath("https://hooks.example.com/") || OursByPath("https://h/api/v1/webhooks/a/b") {
		t.Error("paths are told apart wrongly")
	}
}

func TestHeadersAreReadOrRefused(t *testing.T) {
	got, err := ParseHeaders([]string{"X-A=b=c", "X-B: d:e", "X-C="})
	if err != nil || got["X-A"] != "b=c" || got["X-B"] != "d:e" || got["X-C"] != "" || len(got) != 3 {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range []string{"X-A", "=b", "X A=b", "X-A=b\r\nX-Evil: c"} {
		if _, err := ParseHeaders([]string{bad}); err == nil {
			t.Errorf("%q: taken", bad)
		}
	}
}

// api is a platform's API in memory, whose answers a test may spoil.
type api struct {
	mu    sync.Mutex
	hooks []Webhook
	at    []time.Time // of each request
	posts int
	spoil func(method string, answer platform.Answer) (platform.Answer, error)
}

func (a *api) Call(_ context.Context, method, _ string, body []byte) (platform.Answer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = append(a.at, time.Now())
	out := platform.Answer{Status: http.StatusOK}
	if method == http.MethodPost {
		var w Webhook
		if err := json.Unmarshal(body, &w); err != nil {
			return out, err
		}
		a.posts++
		w.ID = fmt.Sprint(len(a.hooks) + 1)
		a.hooks = append(a.hooks, w)
		out.Status = http.StatusCreated
		out.Body, _ = json.Marshal(w)
	} else {
		out.Body, _ = json.Marshal(map[string]any{"entities": a.hooks})
	}
	if a.spoil != nil {
		return a.spoil(method, out)
	}
	return out, nil
}

func newClient(t *testing.T, c Caller) *Client {
	t.Helper()
	client, err := NewClient(c, "https://api.example.com/")
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestARegistrationThatIsRepeatedFindsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{}
		c := newClient(t, a)
		want := New("ours", where, map[string]string{"X-A": "b"})
		if _, found, err := Find(t.Context(), c, want); found || err != nil {
			t.Fatalf("got %v, %v", found, err)
		}
		if out, err := Create(t.Context(), c, want); err != nil || out.Action != Created || out.Webhook.ID != "1" {
			t.Fatalf("got %+v, %v", out, err)
		}
		want.Headers = map[string]string{"x-a": "b"} // names are the same in any case
		if have, found, err := Find(t.Context(), c, want); !found || err != nil || have.ID != "1" {
			t.Errorf("got %+v, %v, %v", have, found, err)
		}
	})
}

func TestAWebhookOfTheSameAddressThatDiffersIsToldAndLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		was := New("theirs", where, map[string]string{"X-Token": "s3cret", "X-More": "1"})
		was.ID, was.Event, was.RetryCount, was.Enabled = "7", "RECORDING_STARTED", 5, false
		a := &api{hooks: []Webhook{New("elsewhere", "https://other.example.com", nil), was}}
		_, found, err := Find(t.Context(), newClient(t, a), New("ours", where, map[string]string{"X-Token": "other"}))
		var different Different
		if found || !errors.As(err, &different) || different.ID != "7" {
			t.Fatalf("got %v, %v", found, err)
		}
		text := err.Error()
		for _, words := range []string{
			`name is "theirs"`, "event is RECORDING_STARTED", "retryCount is 5, not 3", "enabled is false", "header x-token has another value", "header x-more is there as well",
		} {
			if !strings.Contains(text, words) {
				t.Errorf("got %q, want %q in it", text, words)
			}
		}
		if strings.Contains(text, "s3cret") || a.posts != 0 {
			t.Errorf("shows a header's value, or posted %d", a.posts)
		}
	})
}

func TestALostAnswerIsLookedIntoAndNotRepeated(t *testing.T) {
	lost := fault.New(fault.Unavailable, fault.Platform, "call", errors.New("reset"))
	for name, c := range map[string]struct {
		answer  platform.Answer
		err     error
		arrived bool
		created bool
	}{
		"lost, but it arrived":    {err: lost, arrived: true, created: true},
		"lost on the way there":   {err: lost},
		"a 502, but it arrived":   {answer: platform.Answer{Status: 502}, arrived: true, created: true},
		"a 409: there is one":     {answer: platform.Answer{Status: 409}, arrived: true, created: true},
		"refused":                 {answer: platform.Answer{Status: 403}},
		"refused for its content": {answer: platform.Answer{Status: 400}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &api{}
				a.spoil = func(method string, answer platform.Answer) (platform.Answer, error) {
					if method != http.MethodPost {
						return answer, nil
					}
					if !c.arrived {
						a.hooks = nil
					}
					return c.answer, c.err
				}
				out, err := Create(t.Context(), newClient(t, a), New("ours", where, nil))
				if (err == nil) != c.created || c.created && out.Webhook.ID != "1" || a.posts != 1 {
					t.Errorf("got %+v, %v after %d posts", out, err, a.posts)
				}
			})
		})
	}
}

// Repeated without end by a loop in a shell, each time a new process: still no more than ten requests in any second.
func TestNoMoreThanTenRequestsASecondAreMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{}
		for range 40 {
			if _, _, err := Find(t.Context(), newClient(t, a), New("ours", where, nil)); err != nil {
				t.Fatal(err)
			}
		}
		c := newClient(t, a)
		for range 40 {
			if _, err := c.List(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for n := 10; n < len(a.at); n++ {
			if gap := a.at[n].Sub(a.at[n-10]); gap < 999*time.Millisecond {
				t.Fatalf("requests %d to %d came within %v", n-10, n, gap)
			}
		}
	})
}

func TestPatienceThatThePlatformAsksForIsHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{}
		n := 0
		a.spoil = func(_ string, answer platform.Answer) (platform.Answer, error) {
			if n++; n <= 2 {
				return platform.Answer{Status: http.StatusTooManyRequests, RetryAfter: 5 * time.Second}, nil
			}
			return answer, nil
		}
		began := time.Now()
		if _, err := newClient(t, a).List(t.Context()); err != nil || time.Since(began) < 10*time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		a.spoil = func(string, platform.Answer) (platform.Answer, error) {
			return platform.Answer{Status: http.StatusTooManyRequests}, nil
		}
		if _, err := newClient(t, a).List(t.Context()); err == nil || !strings.Contains(err.Error(), "429") {
			t.Errorf("without end: got %v", err)
		}
	})
}

// answers gives one body after the other.
type answers []string

func (a *answers) Call(_ context.Context, _, address string, _ []byte) (platform.Answer, error) {
	if len(*a) == 0 {
		return platform.Answer{}, errors.New("asked for " + address)
	}
	body := (*a)[0]
	*a = (*a)[1:]
	return platform.Answer{Status: http.StatusOK, Body: []byte(body)}, nil
}

func TestListsAreReadInEachForm(t *testing.T) {
	for name, c := range map[string]struct {
		bodies answers
		ids    []string
		words  string
	}{
		"an array":            {answers{`[{"id":1,"url":"https://a"},{"id":"b"}]`}, []string{"1", "b"}, ""},
		"an empty array":      {answers{`[]`}, nil, ""},
		"none at all":         {answers{`{"entities":null}`}, nil, ""},
		"in pages":            {answers{`{"entities":[{"id":"1"}],"nextUri":"/api/v2/integrations/webhooks?pageNumber=2"}`, `{"entities":[{"id":"2"}]}`}, []string{"1", "2"}, ""},
		"on at another host":  {answers{`{"entities":[],"nextUri":"https://evil.example.com/"}`}, nil, "another host"},
		"a page of HTML":      {answers{`<html>`}, nil, "no list of webhooks"},
		"some other object":   {answers{`{"error":"x"}`}, nil, "no list of webhooks"},
		"a list of something": {answers{`["x"]`}, nil, "no list of webhooks"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list, err := newClient(t, &c.bodies).List(t.Context())
				var ids []string
				for _, w := range list {
					ids = append(ids, w.ID)
				}
				switch {
				case c.words != "" && (err == nil || !strings.Contains(err.Error(), c.words)):
					t.Errorf("got %v, want %q", err, c.words)
				case c.words == "" && (err != nil || !slices.Equal(ids, c.ids)):
					t.Errorf("got %v, %v", ids, err)
				}
			})
		})
	}
}

func TestWhatMayBeASecretIsNotShown(t *testing.T) {
	w := New("ours", "https://user:pw@hooks.example.com/x?token=s3cret", map[string]string{"X-Api-Key": "s3cret", "authorization": "s3cret", "X-Environment": "test"})
	b, err := json.Marshal(w.Shown())
	if err != nil || strings.Contains(string(b), "s3cret") || strings.Contains(string(b), "pw") || !strings.Contains(string(b), `"X-Environment":"test"`) {
		t.Errorf("got %s, %v", b, err)
	}
	if w.Headers["X-Api-Key"] != "s3cret" {
		t.Error("the webhook itself was changed")
	}
}
