package platform_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

func TestLinkIsRefusedWhenForgedOrExpired(t *testing.T) {
	var clock struct {
		sync.Mutex
		now time.Time
	}
	clock.now = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	now := func() time.Time { clock.Lock(); defer clock.Unlock(); return clock.now }
	p := start(t, platform.Config{Now: now, LinkTTL: time.Minute})
	rec, other := add(t, p, platform.Spec{Size: 100}), add(t, p, platform.Spec{Size: 100})
	born := add(t, p, platform.Spec{Size: 100, LinkTTL: -time.Second})
	good := rec.MediaURL()
	at, signature, _ := strings.Cut(good, "&signature=")
	_, others, _ := strings.Cut(other.MediaURL(), "&signature=")
	for _, c := range []struct {
		name, url string
		want      int
	}{
		{"as made", good, 200},
		{"without signature", at, 403},
		{"signature of another recording", at + "&signature=" + others, 403},
		{"a longer life", strings.Replace(good, "expires=", "expires=1", 1), 403},
		{"signature cut", at + "&signature=" + signature[:10], 403},
		{"expired from the start", born.MediaURL(), 403},
		{"made anew", p.Link(born, time.Minute), 200},
		{"of no recording", p.URL() + "/media/none.wav", 404},
	} {
		if status, _ := fetch(t, c.url); status != c.want {
			t.Errorf("%s: status %d, want %d", c.name, status, c.want)
		}
	}
	clock.Lock()
	clock.now = clock.now.Add(time.Minute)
	clock.Unlock()
	if status, _ := fetch(t, good); status != 403 {
		t.Errorf("when its time is over: status %d, want 403", status)
	}
	if got := rec.Counts(); got.Denied != 5 || got.Gets != 1 {
		t.Errorf("counted %+v, want 5 denied and 1 GET", got)
	}
}

func TestValidatorPinsTheVersion(t *testing.T) {
	p := start(t, platform.Config{})
	rec := add(t, p, platform.Spec{Size: 10_000})
	etag := get(t, rec.MediaURL()).Header.Get("ETag")
	if !strings.HasPrefix(etag, `"`) {
		t.Fatalf("ETag %s is not a strong one", etag)
	}
	ranged := func(name, value string) (int, string) {
		resp := get(t, rec.MediaURL(), "Range", "bytes=100-199", name, value)
		return resp.StatusCode, resp.Header.Get("Content-Range")
	}
	if status, span := ranged("If-Range", etag); status != 206 || span != "bytes 100-199/10000" {
		t.Errorf("same version: status %d, %q", status, span)
	}
	rec.SetFaults(platform.Faults{Reencoded: true})
	if status, _ := ranged("If-Range", etag); status != 200 {
		t.Errorf("If-Range of the old version: status %d, want 200", status)
	}
	if status, _ := ranged("If-Match", etag); status != 412 {
		t.Errorf("If-Match of the old version: status %d, want 412", status)
	}
}

func TestCountsTellFetchesFromRanges(t *testing.T) {
	p := start(t, platform.Config{})
	rec := add(t, p, platform.Spec{ID: "rec-1", Size: 1000})
	fetch(t, rec.MediaURL())
	fetch(t, rec.MediaURL(), "Range", "bytes=0-99")
	fetch(t, rec.MediaURL(), "Range", "bytes=100-199")
	ask(t.Context(), t, http.MethodHead, rec.MediaURL())
	want := platform.Counts{Fetches: 2, Gets: 3, Ranges: 2, Heads: 1, Bytes: 1200}
	if got := rec.Counts(); got != want {
		t.Fatalf("counted %+v, want %+v", got, want)
	}
	if p.Fetches("rec-1") != 2 || p.Fetches("rec-2") != 0 || p.Recording("rec-1") != rec {
		t.Fatal("Fetches or Recording does not find it by its key")
	}
}

const faultSize = 500_000

// answer is what a plain client gets of a faulty recording.
type answer struct {
	status int
	header http.Header
	length int64
	body   []byte
	err    error
}

func (a answer) String() string {
	return fmt.Sprintf("status %d, length %d, %d bytes, error %v", a.status, a.length, len(a.body), a.err)
}

func TestEachFaultDoesWhatItSays(t *testing.T) {
	type check func(t *testing.T, rec *platform.Recording, a answer) bool
	status := func(want int) check {
		return func(_ *testing.T, _ *platform.Recording, a answer) bool { return a.status == want && a.err == nil }
	}
	for _, c := range []struct {
		name   string
		faults platform.Faults
		header []string
		holds  check
	}{
		{"none", platform.Faults{}, nil, func(_ *testing.T, rec *platform.Recording, a answer) bool {
			return a.status == 200 && a.length == faultSize && sum(a.body) == rec.SHA256() && a.header.Get("Accept-Ranges") == "bytes"
		}},
		{"404", platform.Faults{Status: 404}, nil, status(404)},
		{"403", platform.Faults{Status: 403}, nil, status(403)},
		{"410", platform.Faults{Status: 410}, nil, status(410)},
		{"500", platform.Faults{Status: 500}, nil, status(500)},
		{"503 with Retry-After", platform.Faults{Status: 503, RetryAfter: 7 * time.Second}, nil, func(_ *testing.T, _ *platform.Recording, a answer) bool {
			return a.status == 503 && a.header.Get("Retry-After") == "7"
		}},
		{"HTML page", platform.Faults{HTML: true}, nil, func(_ *testing.T, _ *platform.Recording, a answer) bool {
			return a.status == 200 && strings.HasPrefix(a.header.Get("Content-Type"), "text/html") && bytes.HasPrefix(a.body, []byte("<!DOCTYPE html>"))
		}},
		{"wrong magic", platform.Faults{WrongMagic: true}, nil, func(_ *testing.T, _ *platform.Recording, a answer) bool {
			return a.status == 200 && len(a.body) == faultSize && !bytes.Contains(a.body[:16], []byte("RIFF")) && !bytes.Contains(a.body[:16], []byte("WAVE"))
		}},
		{"re-encoded", platform.Faults{Reencoded: true}, nil, func(_ *testing.T, rec *platform.Recording, a answer) bool {
			return a.length == faultSize && sum(a.body) == rec.ReencodedSHA256() && rec.ReencodedSHA256() != rec.SHA256()
		}},
		{"gzip", platform.Faults{Gzip: true}, nil, func(t *testing.T, rec *platform.Recording, a answer) bool {
			return a.header.Get("Content-Encoding") == "gzip" && a.length == -1 && sum(gunzip(t, a.body)) == rec.SHA256()
		}},
		{"unknown length", platform.Faults{Chunked: true}, []string{"Range", "bytes=5-"}, func(_ *testing.T, rec *platform.Recording, a answer) bool {
			return a.status == 200 && a.length == -1 && a.err == nil && sum(a.body) == rec.SHA256()
		}},
		{"no ranges", platform.Faults{NoRanges: true}, []string{"Range", "bytes=5-"}, func(_ *testing.T, rec *platform.Recording, a answer) bool {
			return a.status == 200 && a.length == faultSize && sum(a.body) == rec.SHA256()
		}},
		{"redirect elsewhere", platform.Faults{RedirectTo: "http://192.0.2.1/x"}, nil, func(_ *testing.T, _ *platform.Recording, a answer) bool {
			return a.status == 302 && a.header.Get("Location") == "http://192.0.2.1/x"
		}},
		{"truncated", platform.Faults{End: platform.Truncated, EndAt: 123_456}, nil, func(_ *testing.T, _ *platform.Recording, a answer) bool {
			return a.length == faultSize && len(a.body) == 123_456 && errors.Is(a.err, io.ErrUnexpectedEOF)
		}},
		{"truncated at once", platform.Faults{End: platform.Truncated}, nil, func(_ *testing.T, _ *platform.Recording, a answer) bool {
			return a.length == faultSize && len(a.body) == 0 && errors.Is(a.err, io.ErrUnexpectedEOF)
		}},
		{"truncated, in a range", platform.Faults{End: platform.Truncated, EndAt: 1000}, []string{"Range", "bytes=900-2000"}, func(_ *testing.T, _ *platform.Recording, a answer) bool {
			return a.status == 206 && a.length == 1101 && len(a.body) == 100 && errors.Is(a.err, io.ErrUnexpectedEOF)
		}},
		{"truncated behind the range", platform.Faults{End: platform.Truncated, EndAt: 5000}, []string{"Range", "bytes=900-2000"}, func(_ *testing.T, _ *platform.Recording, a answer) bool {
			return a.status == 206 && len(a.body) == 1101 && a.err == nil
		}},
		{"short, with a clean end", platform.Faults{Chunked: true, End: platform.Truncated, EndAt: 123_456}, nil, func(_ *testing.T, _ *platform.Recording, a answer) bool {
			return a.status == 200 && a.length == -1 && len(a.body) == 123_456 && a.err == nil
		}},
		{"reset", platform.Faults{End: platform.Reset, EndAt: 0}, nil, func(_ *testing.T, _ *platform.Recording, a answer) bool {
			return errors.Is(a.err, syscall.ECONNRESET)
		}},
		{"reset, without a length", platform.Faults{Chunked: true, End: platform.Reset, EndAt: 400_000}, nil, func(_ *testing.T, _ *platform.Recording, a answer) bool {
			return errors.Is(a.err, syscall.ECONNRESET) && len(a.body) <= 400_000
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := add(t, start(t, platform.Config{}), platform.Spec{Size: faultSize, Faults: c.faults})
			resp := get(t, rec.MediaURL(), c.header...)
			a := answer{status: resp.StatusCode, header: resp.Header, length: resp.ContentLength}
			a.body, a.err = io.ReadAll(resp.Body)
			if !c.holds(t, rec, a) {
				t.Fatal(a)
			}
		})
	}
}

func gunzip(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRedirectsLeadToTheMediaAfterAsManyHops(t *testing.T) {
	p := start(t, platform.Config{})
	rec := add(t, p, platform.Spec{Size: 1000, Faults: platform.Faults{Redirects: 3}})
	hops := 0
	follow := client()
	follow.CheckRedirect = func(*http.Request, []*http.Request) error { hops++; return nil }
	resp, err := follow.Get(rec.MediaURL())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || hops != 3 || sum(b) != rec.SHA256() {
		t.Fatalf("%d hops, %d bytes, error %v", hops, len(b), err)
	}
	if got := rec.Counts(); got.Gets != 1 || got.Fetches != 1 {
		t.Fatalf("counted %+v, want one GET", got)
	}
}

func TestFaultsHoldForTheGETsThatTheySay(t *testing.T) {
	whole, head, rest := "", "bytes=0-9", "bytes=10-19"
	for _, c := range []struct {
		name   string
		faults platform.Faults
		ranges []string
		want   string
	}{
		{"the first two", platform.Faults{Status: 500, Times: 2}, []string{whole, whole, whole, whole}, "500 500 200 200"},
		{"from the third on", platform.Faults{Status: 410, After: 2}, []string{whole, whole, whole, whole}, "200 200 410 410"},
		{"the second only", platform.Faults{Status: 404, After: 1, Times: 1}, []string{whole, whole, whole}, "200 404 200"},
		{"each range for itself", platform.Faults{Status: 403, After: 1}, []string{head, rest, rest}, "206 403 403"},
		{"from the second fetch on", platform.Faults{Status: 403, After: 1, PerFetch: true}, []string{head, rest, rest, head, rest}, "206 206 206 403 403"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := add(t, start(t, platform.Config{}), platform.Spec{Size: 1000, Faults: c.faults})
			var got []string
			for _, r := range c.ranges {
				status, _ := fetch(t, rec.MediaURL(), "Range", r)
				got = append(got, strconv.Itoa(status))
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Fatalf("got %s, want %s", s, c.want)
			}
		})
	}
}

func TestMediaReencodedBetweenRangesHaveAnotherValidator(t *testing.T) {
	p := start(t, platform.Config{})
	rec := add(t, p, platform.Spec{Size: 1000, Faults: platform.Faults{Reencoded: true, After: 1}})
	first := get(t, rec.MediaURL(), "Range", "bytes=0-499").Header.Get("ETag")
	if rec.Served(rec.ReencodedSHA256()) {
		t.Error("the re-encoded media count as served before they were")
	}
	second := get(t, rec.MediaURL(), "Range", "bytes=500-999").Header.Get("ETag")
	if first == second {
		t.Errorf("both ranges have ETag %s", first)
	}
	if !rec.Served(rec.SHA256()) || !rec.Served(rec.ReencodedSHA256()) || rec.Served(sum(nil)) {
		t.Error("Served does not say what was served")
	}
}

func TestFaultsCanChangeWhileRunning(t *testing.T) {
	rec := add(t, start(t, platform.Config{}), platform.Spec{Size: 1000, Faults: platform.Faults{Status: 500}})
	if status, _ := fetch(t, rec.MediaURL()); status != 500 {
		t.Fatalf("status %d", status)
	}
	rec.SetFaults(platform.Faults{})
	if status, _ := fetch(t, rec.MediaURL()); status != 200 {
		t.Fatalf("status %d after the fault is gone", status)
	}
}

func TestSlowMediaTakeTheirTime(t *testing.T) {
	rec := add(t, start(t, platform.Config{}), platform.Spec{Size: 20_000, Faults: platform.Faults{BytesPerSecond: 100_000}})
	began := time.Now()
	_, b := fetch(t, rec.MediaURL())
	if took := time.Since(began); took < 150*time.Millisecond || sum(b) != rec.SHA256() {
		t.Fatalf("%d bytes in %v at 100 kB/s", len(b), took)
	}
}

func TestStalledMediaSendAllBeforeAndThenNothingUntilTheClientLeaves(t *testing.T) {
	p := start(t, platform.Config{})
	rec := add(t, p, platform.Spec{Size: faultSize, Faults: platform.Faults{End: platform.Stalled, EndAt: 100_001}})
	ctx, leave := context.WithCancel(t.Context())
	resp := ask(ctx, t, http.MethodGet, rec.MediaURL())
	if _, err := io.CopyN(io.Discard, resp.Body, 100_001); err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() { _, err := resp.Body.Read(make([]byte, 1)); read <- err }()
	select {
	case err := <-read:
		t.Fatalf("something came after byte 100001: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	leave()
	if err := <-read; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestCloseEndsStalledMedia(t *testing.T) {
	p, err := platform.New(platform.Config{Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	rec := add(t, p, platform.Spec{Size: faultSize, Faults: platform.Faults{End: platform.Stalled, EndAt: 1000}})
	resp := get(t, rec.MediaURL())
	until(t, "the first bytes are there", func() bool { return rec.Counts().Bytes == 1000 })
	for range 2 {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Fatal("the media ended well")
	}
	if _, err := client().Get(rec.MediaURL()); err == nil {
		t.Fatal("a closed platform still serves")
	}
}
