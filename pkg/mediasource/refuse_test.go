package mediasource_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/mediasource"
)

const page = "<!DOCTYPE html><html><body>Your session has expired</body></html>"

func TestWhatIsNoRecordingIsRefused(t *testing.T) {
	body := wav(2000)
	text := func(s string) http.HandlerFunc { return file([]byte(s), "") }
	encoded := func(how string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", how)
			file(body, "")(w, r)
		}
	}
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		size   int
		text   string
	}{
		"an HTML page":           {text(page), -1, "not those of a wav file"},
		"a JSON error":           {text(`{"error":"expired"}`), -1, "not those of a wav file"},
		"another format":         {text("OggS" + page), -1, "not those of a wav file"},
		"RIFF without WAVE":      {text("RIFF\x00\x00\x00\x00AVI " + page), -1, "not those of a wav file"},
		"a few bytes":            {text("RIFF"), -1, "not those of a wav file"},
		"nothing":                {text(""), -1, "empty"},
		"nothing, no length":     {chunked(nil), 2000, "empty"},
		"a promise of nothing":   {file(body, ""), 0, "empty"},
		"shorter than promised":  {file(body, ""), 2001, "2000 bytes would come, 2001 were promised"},
		"longer than promised":   {file(body, ""), 1999, "2000 bytes would come, 1999 were promised"},
		"short, no length":       {chunked(body), 2001, "only 2000 of 2001"},
		"long, no length":        {chunked(body), 1999, "more than the promised 1999"},
		"twice the promise":      {chunked(append(wav(1000), wav(1000)...)), 1000, "more than the promised 1000"},
		"over the bound":         {file(wav(maxBytes+1), ""), -1, "TWINREEL_MAX_RECORDING_BYTES"},
		"a promise over it":      {file(body, ""), maxBytes + 1, "TWINREEL_MAX_RECORDING_BYTES"},
		"gzip":                   {encoded("gzip"), -1, "compressed"},
		"an encoding by promise": {encoded("br"), 2000, "compressed"},
	} {
		t.Run(name, func(t *testing.T) {
			o := serve(t, c.handle)
			wantFault(t, source(t, config()), o.promised(c.size), fault.Corrupt, c.text)
		})
	}
}

func TestTheBoundHoldsWhereNobodyKnowsTheLength(t *testing.T) {
	o := serve(t, chunked(wav(maxBytes+1)))
	r := o.request()
	r.SizeOptional = true
	wantFault(t, source(t, config()), r, fault.Corrupt, "TWINREEL_MAX_RECORDING_BYTES")
}

func TestARealCompressedAnswerIsNotUnpacked(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(wav(2000)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	o := serve(t, file(packed.Bytes(), ""))
	wantFault(t, source(t, config()), o.request(), fault.Corrupt, "not those of a wav file")
	o = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "identity")
		w.Header().Set("Content-Length", "2000")
		w.Write(wav(2000))
	})
	wantMedia(t, source(t, config()), o.request(), wav(2000))
}

func TestAStatusBecomesItsClass(t *testing.T) {
	for code, class := range map[int]fault.Class{
		401: fault.SourceGone, 403: fault.SourceGone, 404: fault.SourceGone, 410: fault.SourceGone, 429: fault.Throttled,
		500: fault.Unavailable, 502: fault.Unavailable, 503: fault.Unavailable, 504: fault.Unavailable,
		400: fault.Transient, 408: fault.Transient, 416: fault.Transient, 451: fault.Transient, 202: fault.Transient, 204: fault.Transient, 300: fault.Transient,
	} {
		o := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(code)
			if code != 204 {
				w.Write(wav(100))
			}
		})
		err := wantFault(t, source(t, config()), o.request(), class, fmt.Sprint(code))
		if fault.StatusOf(err) != code || fault.RetryAfterOf(err) != 7*time.Second {
			t.Errorf("%d: status %d, again after %s", code, fault.StatusOf(err), fault.RetryAfterOf(err))
		}
	}
}

func TestRetryAfterMayBeADate(t *testing.T) {
	for value, want := range map[string]bool{
		time.Now().Add(time.Hour).UTC().Format(http.TimeFormat): true, time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat): false,
		"soon": false, "-5": false, "99999999999999": false, "": false,
	} {
		o := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		err := wantFault(t, source(t, config()), o.request(), fault.Unavailable, "503")
		if got := fault.RetryAfterOf(err); (got > 0) != want || got < 0 || got > time.Hour {
			t.Errorf("%q: %s", value, got)
		}
	}
}

// raw serves each connection by hand: it reads the request and leaves the rest to answer.
func raw(t *testing.T, answer func(net.Conn)) mediasource.Request {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			answer(c)
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
	})
	return mediasource.Request{URL: "http://" + l.Addr().String() + "/m/?sig=" + secret, Format: "wav", Size: -1}
}

func TestABrokenConnectionIsTheHostsFailure(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n"
	for name, answer := range map[string]func(net.Conn){
		"no answer":             func(net.Conn) {},
		"no HTTP":               func(c net.Conn) { fmt.Fprint(c, "/m/?sig="+secret+"\r\n\r\n") },
		"cut in the header":     func(c net.Conn) { fmt.Fprint(c, ok[:20]) },
		"cut before the body":   func(c net.Conn) { fmt.Fprint(c, ok) },
		"cut in the first word": func(c net.Conn) { fmt.Fprint(c, ok+"RIFF") },
		"cut in the middle":     func(c net.Conn) { fmt.Fprint(c, ok+string(wav(1000))) },
		"cut in a chunk": func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n"+string(wav(1000)))
		},
		"reset": func(c net.Conn) {
			fmt.Fprint(c, ok+string(wav(1000)))
			if err := c.(*net.TCPConn).SetLinger(0); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := raw(t, answer)
			r.SizeOptional = true
			wantFault(t, source(t, config()), r, fault.Unavailable, "")
		})
	}
}

func TestAnEndByHangingUpIsHeldAgainstThePromise(t *testing.T) {
	old := func(n int) func(net.Conn) {
		return func(c net.Conn) { fmt.Fprint(c, "HTTP/1.0 200 OK\r\n\r\n"+string(wav(n))) }
	}
	r := raw(t, old(1000))
	r.Size = 2000
	wantFault(t, source(t, config()), r, fault.Corrupt, "only 1000 of 2000")
	r = raw(t, old(2000))
	r.Size = 2000
	wantMedia(t, source(t, config()), r, wav(2000))
}

func TestAHostThatRefusesIsUnavailable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	r := mediasource.Request{URL: "http://" + l.Addr().String() + "/m/?sig=" + secret, Format: "wav", Size: -1}
	wantFault(t, source(t, config()), r, fault.Unavailable, "refused")
}

func TestAStallEndsTheRequest(t *testing.T) {
	c := config()
	c.StallTimeout = 150 * time.Millisecond
	for name, before := range map[string]string{
		"before the answer": "", "before the body": "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n",
		"in the body": "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + string(wav(1000)),
	} {
		t.Run(name, func(t *testing.T) {
			r := raw(t, func(conn net.Conn) {
				fmt.Fprint(conn, before)
				_, _ = io.Copy(io.Discard, conn) // until the other side gives up
			})
			began := time.Now()
			wantFault(t, source(t, c), r, fault.Unavailable, "TWINREEL_SOURCE_STALL_TIMEOUT")
			if took := time.Since(began); took < c.StallTimeout || took > 4*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestASlowReaderIsNoStall(t *testing.T) {
	c := config()
	c.StallTimeout = 100 * time.Millisecond
	body := wav(5 * part)
	o := serve(t, file(body, `"v1"`))
	m, err := source(t, c).Open(t.Context(), o.request())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	<-time.After(3 * c.StallTimeout) // the store is slow
	got, err := io.ReadAll(m)
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestASourceThatDripsIsNoStall(t *testing.T) {
	c := config()
	c.StallTimeout = 300 * time.Millisecond
	body := wav(60)
	o := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "60")
		for i := range 12 {
			w.Write(body[5*i : 5*i+5])
			w.(http.Flusher).Flush()
			<-time.After(c.StallTimeout / 6)
		}
	})
	wantMedia(t, source(t, c), o.request(), body)
}

func TestCancellingEndsOpenAndRead(t *testing.T) {
	frozen := raw(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	half := raw(t, func(c net.Conn) {
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n"+string(wav(1000)))
		_, _ = io.Copy(io.Discard, c)
	})
	for name, r := range map[string]mediasource.Request{"open": frozen, "read": half} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		m, err := source(t, config()).Open(ctx, r)
		if err == nil {
			_, err = io.ReadAll(m)
			m.Close()
		}
		if !errors.Is(err, context.Canceled) || fault.PartOf(err) != fault.Source {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCloseIsPromptAtAnyPoint(t *testing.T) {
	large := wav(maxBytes)
	o := serve(t, file(large, `"v1"`))
	for _, n := range []int64{0, 5, part, part + 1, 3 * part, maxBytes} {
		m, err := source(t, config()).Open(t.Context(), o.request())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, m, n); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		m.Close()
		m.Close()
		if took := time.Since(began); took > time.Second {
			t.Errorf("after %d bytes it took %s", n, took)
		}
		if n, err := m.Read(make([]byte, 10)); n != 0 || err == nil || errors.Is(err, io.EOF) {
			t.Errorf("reading on: %d, %v", n, err)
		}
	}
}
