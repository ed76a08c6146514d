package mediasource_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
)

// cut hands out so many bytes of what handle serves, then cuts the connection. What is shorter ends well.
func cut(n int, handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { handle(&cutter{w, n}, r) }
}

type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p[:min(c.left, len(p))])
	if c.left -= n; n < len(p) && err == nil {
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

// inTurn answers the first request by the first handler, and so on; the last answers all that follow.
func inTurn(handlers ...http.HandlerFunc) http.HandlerFunc {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		handlers[min(int(n.Add(1)), len(handlers))-1](w, r)
	}
}

// unmeasured serves what handle does without its Content-Length.
func unmeasured(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { handle(&unmeasuring{w}, r) }
}

type unmeasuring struct{ http.ResponseWriter }

func (u *unmeasuring) WriteHeader(code int) {
	u.Header().Del("Content-Length")
	u.ResponseWriter.WriteHeader(code)
	u.Flush()
}

func (u *unmeasuring) Flush() { u.ResponseWriter.(http.Flusher).Flush() }

func TestWhatBreaksOffIsGoneOnWithFromThere(t *testing.T) {
	small, large := wav(2000), wav(4*part)
	good := file(small, `"v1"`)
	first, later := file(large, `"v1"`), file(large, `"v1"`)
	for name, c := range map[string]struct {
		body   []byte
		size   int
		handle http.HandlerFunc
		asked  []string
	}{
		"small":                   {small, -1, inTurn(cut(1200, good), good), []string{"", "bytes=1200-1999"}},
		"small, promised":         {small, 2000, inTurn(cut(1200, good), good), []string{"", "bytes=1200-1999"}},
		"twice":                   {small, -1, inTurn(cut(1200, good), cut(300, good), good), []string{"", "bytes=1200-1999", "bytes=1500-1999"}},
		"before the magic":        {small, -1, inTurn(cut(5, good), good), []string{"", "bytes=5-1999"}},
		"before the body":         {small, -1, inTurn(cut(0, good), good), []string{"", "bytes=0-1999"}},
		"without Content-Length":  {small, 2000, inTurn(unmeasured(cut(1200, good)), good), []string{"", "bytes=1200-1999"}},
		"a range that says less":  {small, -1, inTurn(cut(1200, good), unmeasured(good)), []string{"", "bytes=1200-1999"}},
		"large":                   {large, 4000, inTurn(first, cut(700, first), later), []string{"bytes=0-999", "bytes=1000-1999", "bytes=1700-1999", "bytes=2000-2999", "bytes=3000-3999"}},
		"large, the first range":  {large, 4000, inTurn(cut(300, first), later), []string{"bytes=0-999", "bytes=1000-1999", "bytes=2000-2999", "bytes=300-999", "bytes=3000-3999"}},
		"large, no answer at all": {large, 4000, inTurn(first, cutHeader, cut(0, later), later), []string{"bytes=0-999", "bytes=1000-1999", "bytes=1000-1999", "bytes=1000-1999", "bytes=2000-2999", "bytes=3000-3999"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := serve(t, c.handle)
			wantMedia(t, source(t, config()), o.promised(c.size), c.body)
			if got := asked(o); !slices.Equal(got, c.asked) {
				t.Errorf("asked for %q, want %q", got, c.asked)
			}
			for _, r := range o.requests()[1:] {
				if r.Header.Get("If-Range") != `"v1"` {
					t.Errorf("%s was not pinned", r.Header.Get("Range"))
				}
			}
		})
	}
}

// cutHeader ends the connection without an answer. On one that was used before, net/http asks once more by itself.
func cutHeader(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestAResetIsGoneOnFrom(t *testing.T) {
	body := wav(2000)
	reset := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nAccept-Ranges: bytes\r\nContent-Length: 2000\r\n\r\n%s", body[:1000])
		if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
			t.Error(err)
		}
		conn.Close()
	}
	o := serve(t, inTurn(reset, file(body, `"v1"`)))
	wantMedia(t, source(t, config()), o.request(), body)
}

func TestWithoutAPinNothingIsGoneOnWith(t *testing.T) {
	body := wav(2000)
	noRanges := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Length", "2000")
		w.Write(body)
	}
	for name, handle := range map[string]http.HandlerFunc{
		"no ETag": file(body, ""), "a weak ETag": file(body, `W/"v1"`), "no Accept-Ranges": noRanges,
	} {
		o := serve(t, cut(1200, handle))
		wantFault(t, source(t, config()), o.request(), fault.Unavailable, "connection was cut")
		if n := len(o.requests()); n != 1 {
			t.Errorf("%s: %d requests", name, n)
		}
	}
	o := serve(t, unmeasured(cut(1200, file(body, `"v1"`)))) // nobody knows where it ends
	r := o.request()
	r.SizeOptional = true
	wantFault(t, source(t, config()), r, fault.Unavailable, "connection was cut")
	if n := len(o.requests()); n != 1 {
		t.Errorf("unknown length: %d requests", n)
	}
}

func TestGoingOnHasABound(t *testing.T) {
	small, large := wav(2000), wav(4*part)
	good := file(small, `"v1"`)
	for name, c := range map[string]struct {
		size     int
		handle   http.HandlerFunc
		requests int
		text     string
	}{
		"no byte more":    {-1, inTurn(cut(1200, good), cut(0, good)), 1 + 3, "connection was cut"},
		"no byte at all":  {-1, cut(0, good), 1 + 3, "connection was cut"},
		"a byte a time":   {-1, cut(1, good), 1 + 16, "connection was cut"},
		"a byte a range":  {4 * part, crumbs(large), 1 + 16, "more than 16 pieces"},
		"no answer more":  {4 * part, inTurn(file(large, `"v1"`), cutHeader), 1 + 1 + 3 + 1, "connection was cut"},
		"ends too early":  {4 * part, inTurn(file(large, `"v1"`), unmeasured(short(0, large))), 1 + 1 + 3, "early"},
		"the host is off": {-1, inTurn(cut(1200, good), status(http.StatusBadGateway)), 2, "502"},
		"the link is old": {-1, inTurn(cut(1200, good), status(http.StatusForbidden)), 2, "403"},
		"slow down":       {-1, inTurn(cut(1200, good), status(http.StatusTooManyRequests)), 2, "429"},
		"a new version":   {-1, inTurn(cut(1200, good), file(small, `"v2"`)), 2, "start again"},
	} {
		t.Run(name, func(t *testing.T) {
			o := serve(t, c.handle)
			_, err := fetch(t, source(t, config()), o.promised(c.size))
			if err == nil || !containsText(err, c.text) {
				t.Errorf("%v, want %s", err, c.text)
			}
			if n := len(o.requests()); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
		})
	}
}

func TestNeitherAStallNorACancelIsGoneOnFrom(t *testing.T) {
	body := wav(2000)
	c := config()
	c.StallTimeout = 150 * time.Millisecond
	for _, name := range []string{"stall", "cancel"} {
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		o := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"v1"`)
			w.Header().Set("Accept-Ranges", "bytes")
			w.Header().Set("Content-Length", "2000")
			w.Write(body[:1000])
			w.(http.Flusher).Flush()
			if name == "cancel" {
				cancel()
			}
			<-r.Context().Done()
		})
		m, err := source(t, c).Open(ctx, o.request())
		if err == nil {
			_, err = io.ReadAll(m)
			m.Close()
		}
		if harmless(t, err) == nil || errors.Is(err, context.Canceled) != (name == "cancel") {
			t.Errorf("%s: %v", name, err)
		}
		if n := len(o.requests()); n != 1 {
			t.Errorf("%s: %d requests", name, n)
		}
	}
}
