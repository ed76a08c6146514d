// Package feed is a media host for measurements: it serves recordings of any size at next to no cost, by ranges too, and
// counts the requests. Every recording has the same bytes; only its link is its own.
package feed

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// bufferSize is the size of the bytes that are served over and over.
const bufferSize = 4 << 20

// Feed is the host. It is safe for concurrent use.
type Feed struct {
	bytes    []byte
	requests atomic.Int64
}

// New makes a feed whose media begin like a WAV.
func New() *Feed {
	f := &Feed{bytes: make([]byte, bufferSize)}
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(f.bytes) // never fails
	copy(f.bytes, "RIFF\x00\x00\x00\x00WAVEfmt ")
	return f
}

// Link is the path of a recording of size bytes.
func Link(size int64, name string) string { return fmt.Sprintf("/media/%d/%s.wav", size, name) }

// Counts returns the requests for media so far.
func (f *Feed) Counts() map[string]int64 { return map[string]int64{"source": f.requests.Load()} }

// ServeHTTP implements http.Handler.
func (f *Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	size, err := strconv.ParseInt(strings.Split(r.URL.Path+"///", "/")[2], 10, 64)
	if err != nil || size < 1 || !strings.HasPrefix(r.URL.Path, "/media/") {
		http.NotFound(w, r)
		return
	}
	f.requests.Add(1)
	w.Header().Set("ETag", fmt.Sprintf("%q", r.URL.Path))
	w.Header().Set("Content-Type", "audio/wav")
	http.ServeContent(w, r, "", time.Time{}, &media{f.bytes, size, 0})
}

// media is one recording: the shared bytes again and again.
type media struct {
	bytes     []byte
	size, off int64
}

// Seek implements io.Seeker.
func (m *media) Seek(off int64, whence int) (int64, error) {
	m.off = [3]int64{0, m.off, m.size}[whence] + off
	return m.off, nil
}

// Read implements io.Reader.
func (m *media) Read(p []byte) (int, error) {
	piece := m.piece()
	n, err := bytes.NewReader(piece[:min(int64(len(piece)), m.size-m.off)]).Read(p)
	m.off += int64(n)
	return n, err
}

// piece is the bytes from where the media are up to the end of the shared ones.
func (m *media) piece() []byte { return m.bytes[m.off%int64(len(m.bytes)):] }
