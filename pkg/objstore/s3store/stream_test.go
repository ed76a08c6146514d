package s3store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
)

func TestAStreamAsksForWhatAPutDoes(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	var got http.Header
	w, _ := fake(t, func(c *s3store.Config) {
		c.SSE, c.KMSKeyID, c.ObjectLockMode, c.ObjectLockDays = "aws:kms", "key-1", "COMPLIANCE", 10
	}, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got = r.Header
	}, s3store.Clock(func() time.Time { return now }))
	s, err := w.Stream(t.Context(), "k", 1, objstore.Options{ContentType: "audio/wav", Tags: map[string]string{"b": "2 +", "a": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	info, err := s.Commit(t.Context(), digest.Of([]byte("x")), map[string]string{"b": "2 +", "a": "1"})
	if err != nil || info.HasCRC64 {
		t.Errorf("without a checksum in the answer: %+v %v", info, err)
	}
	for name, want := range map[string]string{
		"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "key-1", "Content-Type": "audio/wav",
		"X-Amz-Object-Lock-Mode": "COMPLIANCE", "X-Amz-Object-Lock-Retain-Until-Date": "2026-12-03T10:00:00Z", "X-Amz-Tagging": "a=1&b=2+%2B",
		"If-None-Match": "*", "X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Trailer": "x-amz-checksum-crc64nvme",
		"X-Amz-Decoded-Content-Length": "1", "Content-Encoding": "aws-chunked", "X-Amz-Sdk-Checksum-Algorithm": "CRC64NVME", "X-Amz-Checksum-Crc64nvme": "",
	} {
		if have := got.Get(name); have != want {
			t.Errorf("%s is %q, want %q", name, have, want)
		}
	}
}

// TestABrokenStreamIsNoObject breaks a stream at different places before its end. The object cannot be there, so nothing
// is unknown, and nothing is sent twice.
func TestABrokenStreamIsNoObject(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		class  fault.Class
	}{
		"without an answer":        {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, fault.Unavailable},
		"in the middle":            {middle(func(http.ResponseWriter) { panic(http.ErrAbortHandler) }), fault.Unavailable},
		"by an answer that it has": {middle(func(w http.ResponseWriter) { w.Header().Set("ETag", "e") }), fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int64
			w, _ := fake(t, nil, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				c.answer(w, r)
			})
			s, err := w.Stream(t.Context(), "k", 64<<20, objstore.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for piece := make([]byte, 1<<20); err == nil; {
				_, err = s.Write(piece)
			}
			if !fault.Is(err, c.class, fault.Store) || errors.Is(err, objstore.ErrUnknown) {
				t.Errorf("%v (%v), want %v", err, fault.ClassOf(err), c.class)
			}
			if err := s.Abort(t.Context()); err != nil || requests.Load() != 1 {
				t.Errorf("%d requests, %v", requests.Load(), err)
			}
		})
	}
}

// middle reads a part of the body and then answers.
func middle(answer func(http.ResponseWriter)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, 3<<20)
		answer(w)
	}
}

// TestAnAbortedStreamLacksItsLastByte: a server that takes a body for whole once it has the announced bytes must not have
// them before the commit.
func TestAnAbortedStreamLacksItsLastByte(t *testing.T) {
	got := make(chan []byte, 1)
	w, _ := fake(t, nil, func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- b
	})
	body := bytes.Repeat([]byte("x"), 300<<10)
	s, err := w.Stream(t.Context(), "k", int64(len(body)), objstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for rest := body; len(rest) > 0; rest = rest[100<<10:] {
		if n, err := s.Write(rest[:100<<10]); err != nil || n != 100<<10 {
			t.Fatal(n, err)
		}
	}
	if err := s.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(<-got, []byte("x")); n >= len(body) {
		t.Errorf("the server has %d bytes of %d", n, len(body))
	}
}

func TestACommitOfAStreamEndsWithItsContext(t *testing.T) {
	come, release := make(chan struct{}), make(chan struct{})
	w, _ := fake(t, nil, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(come)
		<-release
	})
	t.Cleanup(func() { close(release) })
	body := bytes.Repeat([]byte("x"), 1000)
	s, err := w.Stream(t.Context(), "k", int64(len(body)), objstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(body); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-come
		cancel()
	}()
	if _, err := s.Commit(ctx, digest.Of(body), nil); !errors.Is(err, objstore.ErrUnknown) || !fault.Is(err, fault.Transient, fault.Store) {
		t.Errorf("%v (%v)", err, fault.ClassOf(err))
	}
	if err := s.Abort(t.Context()); err != nil {
		t.Error(err)
	}
}
