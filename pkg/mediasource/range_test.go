package mediasource_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/fault"
)

func TestALargeRecordingIsReadByRangesOfOneVersion(t *testing.T) {
	for _, size := range []int{threshold, threshold + 1, 5*part - 1, 5 * part} {
		body := wav(size)
		o := serve(t, file(body, `"v1"`))
		wantMedia(t, source(t, config()), o.promised(size), body)
		asked := o.requests()
		if want := (size + part - 1) / part; len(asked) != want {
			t.Errorf("%d bytes: %d requests, want %d", size, len(asked), want)
		}
		for i, r := range asked {
			want := fmt.Sprintf("bytes=%d-%d", i*part, min((i+1)*part, size)-1)
			if pin := r.Header.Get("If-Range"); r.Header.Get("Range") != want || (pin != "") != (i > 0) || (i > 0 && pin != `"v1"`) {
				t.Errorf("request %d: range %q, want %q, pinned to %q", i, r.Header.Get("Range"), want, pin)
			}
		}
	}
}

func TestARecordingThatTurnsOutLargeGoesOnByRanges(t *testing.T) {
	body := wav(5*part + 7)
	o := serve(t, file(body, `"v1"`))
	wantMedia(t, source(t, config()), o.request(), body)
	asked := o.requests()
	if len(asked) != 6 || asked[0].Header.Get("Range") != "" || asked[1].Header.Get("Range") != "bytes=1000-1999" {
		t.Errorf("%d requests; the second for %q", len(asked), asked[1].Header.Get("Range"))
	}
}

func TestWithoutRangesOrAStrongETagOnePlainAnswerBringsAll(t *testing.T) {
	body := wav(5 * part)
	noRanges := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Accept-Ranges", "bytes") // it only says so
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.Write(body)
	}
	no416 := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.Write(body)
	}
	for name, c := range map[string]struct {
		handle   http.HandlerFunc
		requests int
	}{
		"no ETag":            {file(body, ""), 2},
		"a weak ETag":        {file(body, `W/"v1"`), 2},
		"ranges are ignored": {noRanges, 1},
		"ranges are refused": {no416, 2},
	} {
		o := serve(t, c.handle)
		wantMedia(t, source(t, config()), o.promised(len(body)), body)
		if n := len(o.requests()); n != c.requests {
			t.Errorf("%s: %d requests, want %d", name, n, c.requests)
		}
	}
	for name, handle := range map[string]http.HandlerFunc{"no ETag": file(body, ""), "a weak ETag": file(body, `W/"v1"`)} {
		o := serve(t, handle)
		wantMedia(t, source(t, config()), o.request(), body)
		if n := len(o.requests()); n != 1 {
			t.Errorf("%s, no size promised: %d requests", name, n)
		}
	}
}

// TestTwoVersionsAreNeverSpliced lets the media change, or the answers go wrong, at the third request.
func TestTwoVersionsAreNeverSpliced(t *testing.T) {
	body := wav(5 * part)
	for name, c := range spoilt(body) {
		t.Run(name, func(t *testing.T) {
			var o *origin
			o = serve(t, func(w http.ResponseWriter, r *http.Request) {
				if len(o.requests()) > 2 {
					c.then(w, r)
					return
				}
				file(body, `"v1"`)(w, r)
			})
			wantFault(t, source(t, config()), o.promised(len(body)), c.class, c.text)
		})
	}
}

func TestARangeThatIsShorterThanAskedForIsGoneOnFrom(t *testing.T) {
	body := wav(4 * part)
	o := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var first, last int
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); err != nil {
			t.Errorf("range %q", r.Header.Get("Range"))
		}
		last = min(last, first+part/2-1)
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", first, last))
		w.WriteHeader(http.StatusPartialContent)
		w.Write(body[first : last+1])
	})
	wantMedia(t, source(t, config()), o.promised(len(body)), body)
	if n := len(o.requests()); n != 8 {
		t.Errorf("%d requests", n)
	}
}

func TestARangeThatEndsEarlyWithoutErrorIsNotTaken(t *testing.T) {
	body := wav(4 * part)
	o := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var first, last int
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); err != nil {
			t.Errorf("range %q", r.Header.Get("Range"))
		}
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(body)))
		w.WriteHeader(http.StatusPartialContent)
		w.(http.Flusher).Flush() // chunked: the end is the server's word
		w.Write(body[first:last])
	})
	wantFault(t, source(t, config()), o.promised(len(body)), fault.Corrupt, "early")
}

func TestAnsweringARangeThatNobodyAskedForIsRefused(t *testing.T) {
	o := serve(t, func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Range", "bytes=0-99")
		file(wav(200), `"v1"`)(w, r)
	})
	wantFault(t, source(t, config()), o.request(), fault.Transient, "206")
}

func TestAPromisedSizeIsHeldAgainstTheRangesTotal(t *testing.T) {
	o := serve(t, file(wav(5*part), `"v1"`))
	err := wantFault(t, source(t, config()), o.promised(5*part+1), fault.Corrupt, "5001 were promised")
	if err != nil && !strings.Contains(err.Error(), "5000") {
		t.Errorf("it does not say what is there: %v", err)
	}
}
