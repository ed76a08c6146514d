package platform

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// routes serves the media, fresh links to them, and the API of webhooks.
func (p *Platform) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /media/", p.serveMedia) // HEAD as well
	mux.HandleFunc("GET "+resolverPath, p.serveLink)
	mux.HandleFunc("GET "+hooksPath, p.serveHooks)
	mux.HandleFunc("POST "+hooksPath, p.serveHooks)
	return mux
}

// serveMedia answers a GET or HEAD of a media link: 404 for no such recording, 403 for a link that is forged or has
// expired, else the media with whatever faults are in force.
func (p *Platform) serveMedia(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	rec := p.byPath[r.URL.Path]
	p.mu.Unlock()
	if rec == nil {
		http.NotFound(w, r)
		return
	}
	if !p.linkValid(r) {
		rec.countDenied()
		http.Error(w, "the link has expired or its signature does not match", http.StatusForbidden)
		return
	}
	hop, _ := strconv.Atoi(r.URL.Query().Get("hop"))
	f := rec.count(r.Method, r.Header.Get("Range"), hop > 0)
	switch {
	case f.RedirectTo != "":
		http.Redirect(w, r, f.RedirectTo, http.StatusFound)
	case hop < f.Redirects:
		http.Redirect(w, r, nextHop(r.URL, hop+1), http.StatusFound)
	case f.Status != 0:
		serveStatus(w, f)
	case f.HTML:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Your session has ended.</body></html>\n")
	default:
		serveAudio(w, r, rec, f)
	}
}

// nextHop returns the same link with the hop's number.
func nextHop(link *url.URL, hop int) string {
	q := link.Query()
	q.Set("hop", strconv.Itoa(hop))
	return link.Path + "?" + q.Encode()
}

func serveStatus(w http.ResponseWriter, f Faults) {
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
	}
	http.Error(w, http.StatusText(f.Status), f.Status)
}

// serveAudio sends the media. Ranges, If-Range, If-Match and HEAD are net/http's.
func serveAudio(w http.ResponseWriter, r *http.Request, rec *Recording, f Faults) {
	content, etag := rec.version(f)
	b := &body{
		audio: content, faults: f, ctx: r.Context(), served: &rec.bytes, flush: http.NewResponseController(w).Flush, start: time.Now(),
	}
	w.Header().Set("Content-Type", rec.ContentType())
	w.Header().Set("ETag", etag)
	switch {
	case f.Gzip:
		w.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is a valid one
		if serveStream(w, r, z, b) == nil {
			_ = z.Close()
		}
	case f.Chunked:
		_ = serveStream(w, r, w, b)
	default:
		if f.NoRanges {
			r.Header.Del("Range")
		}
		http.ServeContent(w, r, "", time.Time{}, b)
	}
	if b.reset {
		resetConnection(w)
	}
}

// version returns the bytes that are served under the faults, and their strong validator.
func (r *Recording) version(f Faults) (audio, string) {
	switch {
	case f.WrongMagic:
		wrong := r.original
		wrong.head = []byte("this is not a recording of any kind\n"[:min(36, r.Size)])
		return wrong, r.etags[2]
	case f.Reencoded:
		return r.reencoded, r.etags[1]
	}
	return r.original, r.etags[0]
}

// serveStream sends b without a length.
func serveStream(w http.ResponseWriter, r *http.Request, to io.Writer, b *body) error {
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	if err := b.flush(); err != nil { // from here on the length cannot be worked out
		return err
	}
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, b, make([]byte, 4*blockSize))
	if errors.Is(err, errCut) {
		return nil // here a cut is a clean end
	}
	return err
}

// resetConnection ends the connection with a TCP reset instead of a FIN.
func resetConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // the connection is at least closed
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

var (
	errCut   = errors.New("the body is cut here")
	errReset = errors.New("the connection is reset here")
)

// body reads an audio as one answer gives it: slowly, or to an early end.
type body struct {
	audio  audio
	faults Faults
	ctx    context.Context // of the request; over when the client leaves or the platform closes
	served interface{ Add(delta int64) int64 }
	flush  func() error
	start  time.Time
	off    int64
	sent   int64
	reset  bool
}

// Seek is io.Seeker.
func (b *body) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.off
	case io.SeekEnd:
		offset += b.audio.size
	}
	b.off = offset
	return offset, nil
}

// Read is io.Reader. It returns an error where the body ends early; net/http closes the connection over it.
func (b *body) Read(p []byte) (int, error) {
	if b.faults.End != Whole {
		if b.off >= b.faults.EndAt {
			return 0, b.endEarly()
		}
		p = p[:min(int64(len(p)), b.faults.EndAt-b.off)]
	}
	if rate := b.faults.BytesPerSecond; rate > 0 {
		p = p[:min(int64(len(p)), max(rate/20, 1))]
		if err := b.pace(rate); err != nil {
			return 0, err
		}
	}
	n, err := b.audio.ReadAt(p, b.off)
	b.off += int64(n)
	b.sent += int64(n)
	b.served.Add(int64(n))
	if n > 0 {
		err = nil
	}
	return n, err
}

// endEarly does what the fault says at byte EndAt, with all bytes before it on their way.
func (b *body) endEarly() error {
	_ = b.flush() // the client may have left: the end is the same
	switch b.faults.End {
	case Stalled:
		<-b.ctx.Done()
		return context.Cause(b.ctx)
	case Reset:
		b.reset = true
		return errReset
	}
	return errCut
}

// pace waits until the bytes sent so far may have been sent at the rate, in bytes a second.
func (b *body) pace(rate int64) error {
	_ = b.flush()
	due := time.Duration(float64(b.sent) / float64(rate) * float64(time.Second))
	return sleep(b.ctx, due-time.Since(b.start))
}

// sleep waits for d, or returns why ctx ended before.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
