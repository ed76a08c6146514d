package mediasource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// errStalled is why a watch ended its request.
var errStalled = errors.New("stalled: no byte within TWINREEL_SOURCE_STALL_TIMEOUT")

// watch ends a request that makes no progress. It runs only while the source is waited for, not while the store is.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	limit  time.Duration
}

func newWatch(ctx context.Context, limit time.Duration) *watch {
	w := &watch{limit: limit}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(limit, func() { w.cancel(errStalled) })
	w.timer.Stop()
	return w
}

func (w *watch) start() { w.timer.Reset(w.limit) }
func (w *watch) stop()  { w.timer.Stop() }

// close ends the request for good.
func (w *watch) close() {
	w.timer.Stop()
	w.cancel(context.Canceled)
}

// cause returns the stall where that is why err happened, else err.
func (w *watch) cause(err error) error {
	if errors.Is(context.Cause(w.ctx), errStalled) {
		return errStalled
	}
	return err
}

// response is one answer's body and what of its headers matters.
type response struct {
	body          io.ReadCloser
	watch         *watch
	op            string
	status        int
	length        int64
	etag          string
	contentRange  string
	acceptsRanges bool
}

// Read implements io.Reader. A body that is cut off is the source's failure, not the recording's.
func (r *response) Read(p []byte) (int, error) {
	r.watch.start()
	n, err := r.body.Read(p)
	r.watch.stop()
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	return n, classify(r.watch.cause(err), r.op)
}

// Close ends the request.
func (r *response) Close() error {
	r.watch.close()
	return r.body.Close()
}

// total returns the length of the whole, -1 where the answer does not tell.
func (r *response) total() (int64, error) {
	if r.status != http.StatusPartialContent {
		return r.length, nil
	}
	from, to, total, err := parseContentRange(r.contentRange)
	if err != nil || from != 0 || (r.length >= 0 && r.length != to-from) {
		return 0, corrupt("the answer to a range is not what was asked for")
	}
	return total, nil
}

// pin returns the strong validator by which further ranges are tied to this answer, "" if there is none.
func (r *response) pin() string {
	if len(r.etag) < 2 || r.etag[0] != '"' {
		return ""
	}
	return r.etag
}

// byteRange is the Range header for n bytes from off.
func byteRange(off, n int64) string { return fmt.Sprintf("bytes=%d-%d", off, off+n-1) }

// parseContentRange reads "bytes from-last/total" as the half-open range [from, to).
func parseContentRange(s string) (from, to, total int64, err error) {
	bad := fmt.Errorf("content range %.64q", s)
	rest, ok := strings.CutPrefix(s, "bytes ")
	span, all, ok2 := strings.Cut(rest, "/")
	first, last, ok3 := strings.Cut(span, "-")
	if !ok || !ok2 || !ok3 {
		return 0, 0, 0, bad
	}
	var n [3]int64
	for i, text := range []string{first, last, all} {
		u, err := strconv.ParseUint(text, 10, 62)
		if err != nil {
			return 0, 0, 0, bad
		}
		n[i] = int64(u)
	}
	if n[0] > n[1] || n[1] >= n[2] {
		return 0, 0, 0, bad
	}
	return n[0], n[1] + 1, n[2], nil
}

// ranges reads media by successive ranges, all pinned to one validator.
type ranges struct {
	source *HTTP
	ctx    context.Context
	url    string
	etag   string
	total  int64
	now    *response // the range being read
	left   int64     // bytes of it to come
	next   int64     // where the range after it begins
}

// Read implements io.Reader.
func (r *ranges) Read(p []byte) (int, error) {
	if r.left == 0 {
		if r.next == r.total {
			return 0, io.EOF
		}
		if err := r.advance(); err != nil {
			return 0, err
		}
	}
	n, err := r.now.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if errors.Is(err, io.EOF) {
		if r.left > 0 {
			return n, corrupt("a range ended %d bytes early", r.left)
		}
		err = nil
	}
	return n, err
}

// advance closes the finished range and asks for the next.
func (r *ranges) advance() error {
	_ = r.now.Close() // it has been read to its end
	n := min(r.source.part, r.total-r.next)
	res, err := r.source.get(r.ctx, r.url, byteRange(r.next, n), r.etag)
	if err != nil {
		return err
	}
	r.now = res
	from, to, total, err := parseContentRange(res.contentRange)
	if res.status != http.StatusPartialContent || res.etag != r.etag || err != nil || from != r.next || to != r.next+n || total != r.total {
		return changed()
	}
	r.left, r.next = n, r.next+n
	return nil
}

// Close implements io.Closer.
func (r *ranges) Close() error {
	return r.now.Close()
}
