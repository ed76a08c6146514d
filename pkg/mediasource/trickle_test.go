package mediasource

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
)

// read reads media of size bytes from a host that sends n of them at a time with a pause between.
func read(t *testing.T, size, n int, pause, patience time.Duration) error {
	t.Helper()
	body := append([]byte("RIFF\x00\x00\x00\x00WAVEfmt "), bytes.Repeat([]byte{1}, size-16)...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for rest := body; len(rest) > 0 && r.Context().Err() == nil; rest = rest[min(n, len(rest)):] {
			_, _ = w.Write(rest[:min(n, len(rest))])
			_ = http.NewResponseController(w).Flush()
			<-time.After(pause)
		}
	}))
	t.Cleanup(server.Close)
	h := NewHTTP(Config{RangeThreshold: 1 << 30, MaxBytes: 1 << 30, AllowHTTP: true, AllowedCIDRs: []string{"127.0.0.0/8"}, StallTimeout: 5 * time.Second}, 1<<20)
	t.Cleanup(h.Close)
	h.patience = patience
	m, err := h.Open(t.Context(), Request{URL: server.URL + "/x.wav", Format: "wav", Size: int64(size)})
	if err != nil {
		return err
	}
	defer m.Close()
	_, err = io.Copy(io.Discard, m)
	return err
}

func TestASourceThatBringsNextToNothingIsGivenUp(t *testing.T) {
	err := read(t, 1<<20, 20, 10*time.Millisecond, 300*time.Millisecond) // 2 KiB a second: it would take nine minutes
	if !errors.Is(err, errTrickles) || !fault.Is(err, fault.Unavailable, fault.Source) {
		t.Errorf("%v (%v)", err, fault.ClassOf(err))
	}
	if err := read(t, 256<<10, 16<<10, 20*time.Millisecond, 100*time.Millisecond); err != nil { // 800 KiB a second
		t.Errorf("a slow source that is quick enough: %v", err)
	}
}

func TestOnlyWaitingForTheSourceCounts(t *testing.T) {
	var s trickle
	for range 10 {
		if s.slow(minRate, time.Second, 5*time.Second) {
			t.Fatal("just enough is too little")
		}
	}
	for range 4 {
		if s.slow(1, time.Second, 5*time.Second) {
			t.Fatal("judged before the time")
		}
	}
	if !s.slow(1, time.Second, 5*time.Second) {
		t.Error("five bytes in five seconds are enough")
	}
	if s.slow(1, time.Second, 5*time.Second) {
		t.Error("counting did not begin anew")
	}
}
