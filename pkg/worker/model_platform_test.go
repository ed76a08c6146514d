package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/mediasource"
)

// mood is how the platform's media host treats one recording.
type mood int

// The moods.
const (
	serves     mood = iota
	notFound        // 404
	goneForAll      // 410
	forbids         // 403: the link has expired
	errorPage       // 200 and HTML
	cutShort        // fewer bytes than the event names, and no sign of it
	noLength        // no Content-Length
	failing         // 503
	limiting        // 429
	breaksOff       // the connection is cut in the middle
	stalls          // no byte after the first few
	moods
)

// passing moods are no property of the recording: they end.
func (m mood) passing() bool {
	return m == failing || m == limiting || m == breaksOff || m == stalls
}

// reel is one recording as the platform has it.
type reel struct {
	name    string
	size    int
	mood    mood
	version int // of its bytes
	served  int // versions up to this one were served
}

// reelSizes are chosen so that one goes whole, one as a stream into S3, and one by ranges and in parts.
func reelSizes() []int { return []int{300, 2*modelPart + 900, 4*modelPart + 50} }

// body returns the bytes of that version.
func (r *reel) body(version int) []byte {
	text := fmt.Sprintf("%s version %d ", r.name, version)
	b := []byte("RIFF\x00\x00\x00\x00WAVE" + strings.Repeat(text, r.size/len(text)+1))
	return b[:r.size]
}

// had reports whether the bytes are some version that was served, whole and unmixed.
func (r *reel) had(b []byte) bool {
	for v := range r.served + 1 {
		if bytes.Equal(b, r.body(v)) {
			return true
		}
	}
	return false
}

// mediaHost is the platform as far as the workers see it: an HTTP server at the other end of pipes.
type mediaHost struct {
	mu    sync.Mutex
	reels []*reel
	conns chan net.Conn
	done  chan struct{}
	web   *http.Server
}

func newMediaHost() *mediaHost {
	p := &mediaHost{conns: make(chan net.Conn), done: make(chan struct{})}
	for i, size := range reelSizes() {
		p.reels = append(p.reels, &reel{name: fmt.Sprintf("rec-%d", i), size: size})
	}
	p.web = &http.Server{Handler: p} //nolint:gosec // its clients are ours
	go func() { _ = p.web.Serve(p) }()
	return p
}

// dial replaces the network of a mediasource.HTTP.
func (p *mediaHost) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (p *mediaHost) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *mediaHost) Close() error { return nil }

// Addr implements net.Listener.
func (p *mediaHost) Addr() net.Addr { return &net.TCPAddr{} }

func (p *mediaHost) stop() {
	close(p.done)
	_ = p.web.Close()
}

func (p *mediaHost) find(name string) *reel {
	for _, r := range p.reels {
		if strings.HasPrefix(name, r.name) {
			return r
		}
	}
	return nil
}

// ServeHTTP answers as the reel's mood has it.
func (p *mediaHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	reel := p.find(strings.TrimPrefix(r.URL.Path, "/"))
	mood, body := reel.mood, reel.body(reel.version)
	reel.served = max(reel.served, reel.version)
	etag := fmt.Sprintf(`"v%d"`, reel.version)
	p.mu.Unlock()
	h := w.Header()
	h.Set("Content-Type", "audio/wav")
	switch mood {
	case notFound, goneForAll, forbids, failing, limiting:
		w.WriteHeader(statusOf(mood))
	case errorPage:
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>Sorry</title>"+strings.Repeat(" ", len(body)))
	case cutShort, noLength:
		if mood == cutShort {
			body = body[:len(body)-1]
		}
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush() // so that no length is made up
		_, _ = w.Write(body)
	case breaksOff, stalls:
		h.Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body[:len(body)/2])
		w.(http.Flusher).Flush()
		if mood == stalls {
			select {
			case <-r.Context().Done():
			case <-p.done:
			}
		}
		panic(http.ErrAbortHandler)
	default:
		h.Set("ETag", etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	}
}

// statusOf is the answer of a mood that has no body.
func statusOf(m mood) int {
	return map[mood]int{notFound: 404, goneForAll: 410, forbids: 403, failing: 503, limiting: 429}[m]
}

// reader is the source as the workers reach it: opening, and each range, is a step. It notes what the source gave.
type reader struct {
	*mediasource.HTTP
	model *model
}

// Open implements mediasource.Source.
func (s reader) Open(ctx context.Context, r mediasource.Request) (*mediasource.Media, error) {
	var media *mediasource.Media
	lost := fault.New(fault.Unavailable, fault.Source, "get media", errors.New("no answer came"))
	h := handOf(ctx)
	err := s.model.step(ctx, seam{op: "source open", key: h.event.Data.RecordingID, reads: true, lost: lost, effect: func() (e error) { media, e = s.HTTP.Open(ctx, r); return e }})
	s.model.sourceSaid(h, err)
	if err != nil {
		return nil, err
	}
	body := &listening{Media: media, model: s.model, hand: h}
	if !media.Ranged() {
		return mediasource.NewMedia(body, media.Size, 1<<30), nil
	}
	return mediasource.NewRangedMedia(body, media.Size, 1<<30, media.First(), func(ctx context.Context, off int64, p []byte) error {
		err := s.model.step(ctx, seam{op: fmt.Sprintf("source range %d", off), key: h.event.Data.RecordingID, reads: true, lost: lost, effect: func() error { return media.Fill(ctx, off, p) }})
		s.model.sourceSaid(h, err)
		return err
	}), nil
}

// listening is a body that tells how it ended.
type listening struct {
	*mediasource.Media
	model *model
	hand  *hand
	sum   *digest.Hasher
}

// Read implements io.Reader.
func (l *listening) Read(p []byte) (int, error) {
	n, err := l.Media.Read(p)
	if l.sum == nil {
		l.sum = digest.NewHasher()
	}
	_, _ = l.sum.Write(p[:n])
	switch {
	case errors.Is(err, io.EOF):
		l.model.sourceEnded(l.hand, l.sum.Digest())
	case err != nil:
		l.model.sourceSaid(l.hand, err)
	}
	return n, err
}
