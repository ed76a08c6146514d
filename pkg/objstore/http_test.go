package objstore_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

func client(stall time.Duration) *http.Client {
	t := &http.Transport{}
	objstore.TuneTransport(t, stall)
	return &http.Client{Transport: t}
}

func get(ctx context.Context, c *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

func TestWhatStandsStillIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	err := get(t.Context(), client(50*time.Millisecond), server.URL)
	if !fault.IsNetwork(err) || objstore.NeverSent(err) {
		t.Errorf("got %v", err)
	}
}

func TestWhatMovesMayTakeLongerThanTheStallTimeout(t *testing.T) {
	const stall, steps = 300 * time.Millisecond, 8
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		tick := time.NewTicker(stall / 4)
		defer tick.Stop()
		for i := range steps {
			<-tick.C
			_, _ = fmt.Fprintln(w, i)
			w.(http.Flusher).Flush()
		}
	}))
	t.Cleanup(server.Close)
	start := time.Now()
	if err := get(t.Context(), client(stall), server.URL); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took < stall {
		t.Errorf("took %v: nothing is shown", took)
	}
}

// slow is a body that comes in steps.
type slow struct {
	tick *time.Ticker
	left int
}

func (s *slow) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	s.left--
	<-s.tick.C
	return copy(p, bytes.Repeat([]byte("x"), 128<<10)), nil
}

func TestASlowBodyKeepsTheWaitForItsAnswerAlive(t *testing.T) {
	const stall = 300 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	t.Cleanup(server.Close)
	tick := time.NewTicker(stall / 4)
	defer tick.Stop()
	resp, err := client(stall).Post(server.URL, "", &slow{tick, 8})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}

func TestOldTLSIsRefusedAndNothingIsUnpackedOnTheWay(t *testing.T) {
	tr := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS10}}
	objstore.TuneTransport(tr, time.Second)
	if tr.TLSClientConfig.MinVersion != tls.VersionTLS12 || !tr.DisableCompression {
		t.Errorf("TLS %x, compression off %v", tr.TLSClientConfig.MinVersion, tr.DisableCompression)
	}
	strict := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13}}
	objstore.TuneTransport(strict, time.Second)
	if strict.TLSClientConfig.MinVersion != tls.VersionTLS13 {
		t.Error("a stricter version was lowered")
	}
}

func TestOnlyWhatCannotHaveArrivedWasNeverSent(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	untrusted := get(t.Context(), client(time.Second), server.URL)
	server.Close()
	refused := get(t.Context(), client(time.Second), server.URL)
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"untrusted": {untrusted, true}, "refused": {refused, true}, "unknown host": {&net.DNSError{Err: "no such host"}, true},
		"reset": {&net.OpError{Op: "read", Err: errors.New("reset")}, false}, "broken off": {io.ErrUnexpectedEOF, false},
		"timed out": {context.DeadlineExceeded, false}, "none": {nil, false},
	} {
		if objstore.NeverSent(c.err) != c.want {
			t.Errorf("%s (%v): want %v", name, c.err, c.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, value string
		want        time.Duration
	}{
		{"Retry-After", "7", 7 * time.Second},
		{"Retry-After", now.Add(time.Minute).Format(http.TimeFormat), time.Minute},
		{"Retry-After", now.Add(-time.Minute).Format(http.TimeFormat), 0},
		{"Retry-After", "-7", 0},
		{"Retry-After", "soon", 0},
		{"Retry-After", "99999999999999999999", 0},
		{"x-ms-retry-after-ms", "250", 250 * time.Millisecond},
		{"X-Other", "7", 0},
	} {
		h := http.Header{}
		h.Set(c.name, c.value)
		if got := objstore.RetryAfter(h, now); got != c.want {
			t.Errorf("%s: %s: %v, want %v", c.name, c.value, got, c.want)
		}
	}
}

func TestASidecarHasAnEnd(t *testing.T) {
	if b, err := objstore.ReadSmall(bytes.NewReader(make([]byte, objstore.MaxSidecar))); err != nil || len(b) != objstore.MaxSidecar {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if b, err := objstore.ReadSmall(bytes.NewReader(make([]byte, objstore.MaxSidecar+1))); !errors.Is(err, objstore.ErrTooLong) || b != nil {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestSameNeedsAChecksum(t *testing.T) {
	d := digest.Of([]byte("x"))
	for name, c := range map[string]struct {
		info objstore.Info
		want bool
	}{
		"the same":          {objstore.Info{Size: 1, CRC64: d.CRC64, HasCRC64: true}, true},
		"unproven":          {objstore.Info{Size: 1, CRC64: d.CRC64}, false},
		"of another size":   {objstore.Info{Size: 2, CRC64: d.CRC64, HasCRC64: true}, false},
		"of another's bits": {objstore.Info{Size: 1, CRC64: d.CRC64 + 1, HasCRC64: true}, false},
	} {
		if c.info.Same(d) != c.want {
			t.Errorf("%s: want %v", name, c.want)
		}
	}
}
