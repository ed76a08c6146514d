// Package sink is two object stores that forget: they answer as S3 and Azure Blob do to the requests that a writer sends,
// and throw the bytes away. With them a measurement shows what a writer costs, and not what a store does.
//
// They keep nothing but which keys exist, so that a conditional create of one that does is refused.
package sink

import (
	"io"
	"net/http"
	"strings"
	"sync"
)

// bodyBuffer is how many bytes of a body are read at a time.
const bodyBuffer = 256 << 10

// tail is how many bytes of a body's end are looked at: a checksum in a trailer fits.
const tail = 64

// store is what both sinks have in common.
type store struct {
	kind    string
	buffers sync.Pool

	mu     sync.Mutex
	keys   map[string]bool
	counts map[string]int64
}

func newStore(kind string) store {
	return store{
		kind: kind, keys: map[string]bool{}, counts: map[string]int64{},
		buffers: sync.Pool{New: func() any { return new([bodyBuffer]byte) }},
	}
}

// Counts returns how often each kind of request came, "s3 put" and the like.
func (s *store) Counts() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int64{"media": int64(s.created("recordings/"))}
	for what, n := range s.counts {
		out[s.kind+" "+what] = n
	}
	return out
}

// created returns how many objects with that prefix there are. The lock is held.
func (s *store) created(prefix string) (n int) {
	for key := range s.keys {
		if strings.Contains(key, prefix) {
			n++
		}
	}
	return n
}

// Probe is the kind of all requests of probe writes, which come by the clock and not for a recording.
const Probe = "probe"

func (s *store) count(r *http.Request, what string) {
	if strings.Contains(r.URL.Path, "/probe/") {
		what = Probe
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what]++
}

// create makes key exist, and reports whether it is new.
func (s *store) create(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.keys[key]
	s.keys[key] = true
	return !taken
}

// swallow reads a body to its end and returns the last of its bytes.
func (s *store) swallow(body io.Reader) string {
	buf, _ := s.buffers.Get().(*[bodyBuffer]byte)
	defer s.buffers.Put(buf)
	var last []byte
	for {
		n, err := body.Read(buf[:])
		if n >= tail {
			last = append(last[:0], buf[n-tail:n]...)
		} else if n > 0 {
			last = append(last, buf[:n]...)
			last = last[max(0, len(last)-tail):]
		}
		if err != nil {
			return string(last)
		}
	}
}

// refuse answers with an error in XML, as both clouds do.
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("x-ms-error-code", code)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `<?xml version="1.0" encoding="utf-8"?><Error><Code>`+code+`</Code></Error>`)
}
