package mediasource_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/mediasource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// part is the size of a range in these tests; the threshold is the same number of parts.
const (
	part      = 1000
	threshold = 3 * part
	maxBytes  = 100_000
	secret    = "s3cret"
)

// config takes what is on this machine, by plain http.
func config() mediasource.Config {
	return mediasource.Config{
		RangeThreshold: threshold, MaxBytes: maxBytes, AllowHTTP: true, AllowedCIDRs: []string{"127.0.0.0/8", "::1/128"}, StallTimeout: 5 * time.Second,
	}
}

func source(t *testing.T, c mediasource.Config, o ...mediasource.Option) *mediasource.HTTP {
	h := mediasource.NewHTTP(c, part, o...)
	t.Cleanup(h.Close)
	return h
}

// wav returns n bytes that begin like a WAV file and differ everywhere.
func wav(n int) []byte {
	b := make([]byte, n+8)
	for i := 0; i < n; i += 8 {
		binary.BigEndian.PutUint64(b[i:], uint64(i)*0x9e3779b97f4a7c15)
	}
	copy(b, "RIFF....WAVEfmt ")
	return b[:n]
}

// origin is a media host that remembers what it was asked.
type origin struct {
	*httptest.Server
	mu    sync.Mutex
	asked []*http.Request
}

func serve(t *testing.T, handle http.HandlerFunc) *origin {
	o := &origin{}
	o.Server = httptest.NewServer(o.remember(handle))
	t.Cleanup(o.Close)
	return o
}

func (o *origin) remember(handle http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.asked = append(o.asked, r.Clone(context.Background()))
		o.mu.Unlock()
		handle(w, r)
	})
}

// requests returns what was asked for so far.
func (o *origin) requests() []*http.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]*http.Request(nil), o.asked...)
}

// link is a signed link to the origin.
func (o *origin) link() string { return o.URL + "/m/rec-1.wav?sig=" + secret }

// request asks for a WAV file whose size nobody promised.
func (o *origin) request() mediasource.Request {
	return mediasource.Request{URL: o.link(), Format: "wav", Size: -1}
}

// promised is request with a promised size.
func (o *origin) promised(n int) mediasource.Request {
	r := o.request()
	r.Size = int64(n)
	return r
}

// file serves body as a good host does: with Content-Length, ranges, and an ETag unless it is "".
func file(body []byte, etag string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if etag != "" {
			w.Header().Set("ETag", etag)
		}
		http.ServeContent(w, r, "rec-1.wav", time.Time{}, bytes.NewReader(body))
	}
}

// chunked serves body without a Content-Length.
func chunked(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		w.Write(body)
	}
}

// fetch opens and reads the media to their end.
func fetch(t *testing.T, s mediasource.Source, r mediasource.Request) ([]byte, error) {
	t.Helper()
	m, err := s.Open(t.Context(), r)
	if err != nil {
		return nil, harmless(t, err)
	}
	defer m.Close()
	b, err := io.ReadAll(m)
	if err == nil && m.Size >= 0 && m.Size != int64(len(b)) {
		t.Errorf("size %d, read %d", m.Size, len(b))
	}
	return b, harmless(t, err)
}

// harmless makes sure that an error is a fault of the source and shows nothing of the link.
func harmless(t *testing.T, err error) error {
	t.Helper()
	if err == nil {
		return nil
	}
	if fault.PartOf(err) != fault.Source {
		t.Errorf("not a fault of the source: %v", err)
	}
	for _, no := range []string{secret, "/m/", "sig="} {
		if strings.Contains(err.Error(), no) {
			t.Errorf("the error shows the link: %v", err)
		}
	}
	return err
}

func wantMedia(t *testing.T, s mediasource.Source, r mediasource.Request, want []byte) {
	t.Helper()
	got, err := fetch(t, s, r)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("read %d bytes that are not the %d served", len(got), len(want))
	}
}

// wantFault fetches and wants an error of that class that says text.
func wantFault(t *testing.T, s mediasource.Source, r mediasource.Request, class fault.Class, text string) error {
	t.Helper()
	_, err := fetch(t, s, r)
	switch {
	case err == nil:
		t.Errorf("taken; want %s: %s", class, text)
	case fault.ClassOf(err) != class, !strings.Contains(err.Error(), text):
		t.Errorf("%s: %v; want %s: %s", fault.ClassOf(err), err, class, text)
	}
	return err
}

// pool holds the certificate of a TLS origin.
func pool(o *origin) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(o.Certificate())
	return p
}
