package mediasource_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/twinreel/twinreel/pkg/mediasource"
)

// open opens media and closes them when the test ends.
func open(t *testing.T, s mediasource.Source, r mediasource.Request) *mediasource.Media {
	t.Helper()
	m, err := s.Open(t.Context(), r)
	if err != nil {
		t.Fatal(harmless(t, err))
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// fillAll takes the first bytes by Read and the rest by parts, all at once.
func fillAll(ctx context.Context, m *mediasource.Media) ([]byte, error) {
	b := make([]byte, m.Size)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		_, err := io.ReadFull(m, b[:m.First()])
		return err
	})
	for off := m.First(); off < m.Size; off += part {
		g.Go(func() error { return m.Fill(ctx, off, b[off:min(off+part, m.Size)]) })
	}
	return b, g.Wait()
}

func wantFilled(t *testing.T, m *mediasource.Media, want []byte) {
	t.Helper()
	if !m.Ranged() {
		t.Fatal("not ranged")
	}
	got, err := fillAll(t.Context(), m)
	if harmless(t, err) != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("filled %d bytes that are not the %d served", len(got), len(want))
	}
}

// asked returns the ranges that were asked for, sorted; "" stands for all.
func asked(o *origin) []string {
	var out []string
	for _, r := range o.requests() {
		out = append(out, r.Header.Get("Range"))
	}
	slices.Sort(out)
	return out
}

func TestALargeRecordingIsFilledByRangesSideBySide(t *testing.T) {
	body := wav(4*part + 7)
	for name, size := range map[string]int{"bytes=0-999": len(body), "": -1} {
		o := serve(t, file(body, `"v1"`))
		m := open(t, source(t, config()), o.promised(size))
		if m.First() != part || m.Size != int64(len(body)) {
			t.Errorf("first %d of %d", m.First(), m.Size)
		}
		wantFilled(t, m, body)
		want := []string{name, "bytes=1000-1999", "bytes=2000-2999", "bytes=3000-3999", "bytes=4000-4006"}
		if got := asked(o); !slices.Equal(got, want) {
			t.Errorf("asked for %q, want %q", got, want)
		}
		for _, r := range o.requests()[1:] {
			if r.Header.Get("If-Range") != `"v1"` || r.Header.Get("Accept-Encoding") != "identity" {
				t.Errorf("asked with %v", r.Header)
			}
		}
	}
}

func TestReadingOnAfterFillingGivesTheSameBytes(t *testing.T) {
	body := wav(4 * part)
	o := serve(t, file(body, `"v1"`))
	m := open(t, source(t, config()), o.promised(len(body)))
	b := make([]byte, part)
	if err := m.Fill(t.Context(), 2500, b); err != nil || !bytes.Equal(b, body[2500:3500]) {
		t.Errorf("filled: %v", err)
	}
	if got, err := io.ReadAll(m); err != nil || !bytes.Equal(got, body) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if err := m.Fill(t.Context(), 0, b); err != nil || !bytes.Equal(b, body[:part]) {
		t.Errorf("filled after the end: %v", err)
	}
}

func TestOnlyLargePinnedMediaAreRanged(t *testing.T) {
	small, large := wav(threshold-1), wav(threshold)
	ignores := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Accept-Ranges", "bytes")
		w.Header().Set("Content-Length", fmt.Sprint(len(large)))
		w.Write(large)
	}
	fromWeak := func(w http.ResponseWriter, r *http.Request) { // only the plain answer says that it could be pinned
		etag := `"v1"`
		if r.Header.Get("Range") != "" {
			etag = `W/"v1"`
		}
		file(large, etag)(w, r)
	}
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		size   int
		ranged bool
	}{
		"large": {file(large, `"v1"`), len(large), true}, "turns out large": {file(large, `"v1"`), -1, true},
		"small": {file(small, `"v1"`), len(small), false}, "turns out small": {file(small, `"v1"`), -1, false},
		"no ETag": {file(large, ""), -1, false}, "a weak ETag": {file(large, `W/"v1"`), len(large), false},
		"ranges are ignored": {ignores, len(large), false}, "a weak ETag for ranges": {fromWeak, len(large), false},
	} {
		o := serve(t, c.handle)
		m := open(t, source(t, config()), o.promised(c.size))
		if m.Ranged() != c.ranged {
			t.Errorf("%s: ranged: %v", name, m.Ranged())
		}
		if c.ranged {
			continue
		}
		if m.First() != m.Size {
			t.Errorf("%s: first %d of %d", name, m.First(), m.Size)
		}
		if err := m.Fill(t.Context(), 0, make([]byte, 10)); err == nil {
			t.Errorf("%s: filled", name)
		}
	}
}

func TestFillStaysWithinTheMedia(t *testing.T) {
	o := serve(t, file(wav(4*part), `"v1"`))
	m := open(t, source(t, config()), o.promised(4*part))
	for off, n := range map[int64]int{-1: 10, 4*part - 9: 10, 4 * part: 1, 1<<63 - 1: 10} {
		if err := m.Fill(t.Context(), off, make([]byte, n)); err == nil {
			t.Errorf("%d bytes at %d were filled", n, off)
		}
	}
	if err := m.Fill(t.Context(), 4*part, nil); err != nil {
		t.Errorf("nothing at the end: %v", err)
	}
	if n := len(o.requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestRangesSideBySideHaveConnectionsOfTheirOwn(t *testing.T) {
	body := wav(5 * part)
	o := &origin{}
	o.Server = httptest.NewUnstartedServer(o.remember(file(body, `"v1"`)))
	o.EnableHTTP2 = true
	o.Config.ErrorLog = log.New(io.Discard, "", 0) // a connection that turns out not to be needed ends in its handshake
	o.StartTLS()
	t.Cleanup(o.Close)
	wantFilled(t, open(t, source(t, config(), mediasource.RootCAs(pool(o))), o.promised(len(body))), body)
	for _, r := range o.requests() {
		if range1 := r.Header.Get("Range") == "bytes=0-999"; (r.ProtoMajor == 2) != range1 {
			t.Errorf("%s was asked for by HTTP/%d", r.Header.Get("Range"), r.ProtoMajor)
		}
	}
}

func TestAHostThatSpeaksOnlyHTTP2IsFilledFromAllTheSame(t *testing.T) {
	body := wav(5 * part)
	o := &origin{}
	o.Server = httptest.NewUnstartedServer(o.remember(file(body, `"v1"`)))
	o.EnableHTTP2 = true
	o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if !slices.Contains(hello.SupportedProtos, "h2") {
			return nil, errors.New("h2 or nothing")
		}
		return nil, nil
	}}
	o.Config.ErrorLog = log.New(io.Discard, "", 0)
	o.StartTLS()
	t.Cleanup(o.Close)
	wantFilled(t, open(t, source(t, config(), mediasource.RootCAs(pool(o))), o.promised(len(body))), body)
	if n := len(o.requests()); n != 5 {
		t.Errorf("%d requests came through", n)
	}
}

func TestAWholeAnswerIsLetGoOnceItsFirstPartIsRead(t *testing.T) {
	body := wav(5 * part)
	gone := make(chan struct{})
	o := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			file(body, `"v1"`)(w, r)
			return
		}
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Accept-Ranges", "bytes")
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.Write(body[:2*part])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(gone)
	})
	m := open(t, source(t, config()), o.request())
	if _, err := io.CopyN(io.Discard, m, m.First()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		t.Fatal("the connection is still held")
	}
	b := make([]byte, part)
	if err := m.Fill(t.Context(), 4*part, b); err != nil || !bytes.Equal(b, body[4*part:]) {
		t.Errorf("filled: %v", err)
	}
}

// TestConnectionsAreKeptForTheNextRecordings holds more requests open at once than any small pool has room for, twice.
func TestConnectionsAreKeptForTheNextRecordings(t *testing.T) {
	const atOnce = 80
	body := wav(4 * part)
	var dialled atomic.Int64
	var arrived sync.WaitGroup
	o := &origin{}
	o.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-Range") != "" {
			arrived.Done()
			arrived.Wait() // until all are here
		}
		file(body, `"v1"`)(w, r)
	}))
	o.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			dialled.Add(1)
		}
	}
	o.Start()
	t.Cleanup(o.Close)
	m := open(t, source(t, config()), o.promised(len(body)))
	var before int64
	for range 2 {
		before = dialled.Load()
		arrived.Add(atOnce)
		var g errgroup.Group
		for range atOnce {
			g.Go(func() error { return m.Fill(t.Context(), part, make([]byte, part)) })
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if n := dialled.Load() - before; before == 0 || n != 0 {
		t.Errorf("%d new connections for requests like those before", n)
	}
}

func TestClosingAndCancellingEndFilling(t *testing.T) {
	body := wav(5 * part)
	for name, end := range map[string]func(closeMedia, cancelOpen, cancelFill func()){
		"close": func(c, _, _ func()) { c() }, "the context of Open": func(_, c, _ func()) { c() }, "the context of Fill": func(_, _, c func()) { c() },
	} {
		t.Run(name, func(t *testing.T) {
			waits := make(chan struct{}, 8)
			o := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("If-Range") != "" {
					waits <- struct{}{}
					<-r.Context().Done()
					return
				}
				file(body, `"v1"`)(w, r)
			})
			ctx, cancelOpen := context.WithCancel(t.Context())
			defer cancelOpen()
			m, err := source(t, config()).Open(ctx, o.promised(len(body)))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			ctx, cancelFill := context.WithCancel(t.Context())
			defer cancelFill()
			ended := make(chan error, 4)
			for off := int64(part); off < 5*part; off += part {
				go func() { ended <- m.Fill(ctx, off, make([]byte, part)) }()
			}
			for range cap(ended) {
				<-waits
			}
			began := time.Now()
			end(func() { m.Close() }, cancelOpen, cancelFill)
			for range cap(ended) {
				err := <-ended
				if err == nil || (name != "close" && !errors.Is(err, context.Canceled)) {
					t.Errorf("%v", err)
				}
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it took %s", took)
			}
			if err := m.Fill(ctx, part, make([]byte, part)); err == nil {
				t.Error("filled after the end")
			}
		})
	}
}
