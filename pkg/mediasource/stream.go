package mediasource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// stream is one recording being read, by one request or by a range after the other.
type stream struct {
	source *HTTP
	url    *url.URL
	want   Request
	op     string // "read media from <host>"

	parent context.Context // the caller's
	ctx    context.Context // ends at Close, and when the source stalls
	cancel context.CancelCauseFunc
	stall  *time.Timer

	body  io.ReadCloser // of the answer at hand
	etag  string        // the version that all ranges are of; "" when there is only one answer
	left  int64         // bytes to come of this range, -1 when the answer ends by itself
	total int64         // length of the media, -1 if unknown
	off   int64         // bytes read so far
}

func newStream(parent context.Context, h *HTTP, u *url.URL, r Request) *stream {
	s := &stream{source: h, url: u, want: r, op: "read media from " + u.Hostname(), parent: parent, left: -1, total: r.Size}
	s.ctx, s.cancel = context.WithCancelCause(parent)
	s.stall = time.AfterFunc(h.config.StallTimeout, func() { s.cancel(errStalled) })
	s.stall.Stop()
	return s
}

// start asks for the media.
func (s *stream) start() error {
	if s.want.Size >= int64(s.source.config.RangeThreshold) {
		if started, err := s.startRanged(); started || err != nil {
			return err
		}
	}
	resp, err := s.ask(0, -1) //nolint:bodyclose // Close closes it
	if err != nil {
		return err
	}
	return s.whole(resp, true)
}

// ask sends one request; last is -1 for all there is. The stall time-out covers the wait for the answer.
func (s *stream) ask(first, last int64) (*http.Response, error) {
	header := http.Header{"Accept-Encoding": {"identity"}}
	if last >= 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, last))
	}
	if s.etag != "" {
		header.Set("If-Range", s.etag)
	}
	s.stall.Reset(s.source.config.StallTimeout)
	defer s.stall.Stop()
	return s.source.get(s.ctx, s.parent, s.url, header)
}

// startRanged asks for the first range of media whose size is known to be large. It reports whether that will do: where
// ranges cannot be had, or cannot be pinned to one version, one plain answer has to bring everything.
func (s *stream) startRanged() (bool, error) {
	resp, err := s.ask(0, min(s.source.part, s.want.Size)-1)
	if err != nil {
		return false, err
	}
	etag := strong(resp.Header.Get("ETag"))
	switch {
	case resp.StatusCode == http.StatusOK:
		return true, s.whole(resp, false) // it knows no ranges, whatever it says
	case resp.StatusCode != http.StatusPartialContent || etag == "":
		resp.Body.Close()
		return false, nil
	}
	s.etag = etag
	return true, s.span(resp)
}

// whole takes an answer that brings everything. If it turns out to be large, and can be had by ranges of the same version
// (which ranges allows to try), only its first part is read.
func (s *stream) whole(resp *http.Response, ranges bool) error {
	s.body = resp.Body
	length := resp.ContentLength
	if length >= 0 && s.total >= 0 && length != s.total {
		return corrupt(s.op, fmt.Sprintf("%d bytes would come, %d were promised", length, s.total))
	}
	s.total = max(s.total, length)
	switch {
	case s.total < 0 && !s.want.SizeOptional:
		return corrupt(s.op, "the length is unknown: no Content-Length, and neither size nor sha256 in the event")
	case s.total > int64(s.source.config.MaxBytes):
		return corrupt(s.op, tooLong)
	case s.total == 0:
		return corrupt(s.op, empty)
	}
	etag := strong(resp.Header.Get("ETag"))
	ranges = ranges && strings.EqualFold(resp.Header.Get("Accept-Ranges"), "bytes")
	if length >= int64(s.source.config.RangeThreshold) && etag != "" && ranges {
		s.etag, s.left = etag, min(s.source.part, length)
	}
	return nil
}

// span takes a 206, which has to be the range that was asked for, of the version that is pinned.
func (s *stream) span(resp *http.Response) error {
	s.body = resp.Body
	if strong(resp.Header.Get("ETag")) != s.etag {
		return changed(s.op, "the media changed while they were read")
	}
	got, err := parseContentRange(resp.Header.Get("Content-Range"))
	switch {
	case err != nil:
		return changed(s.op, err.Error())
	case got.total >= 0 && got.total != s.total:
		return corrupt(s.op, fmt.Sprintf("the media have %d bytes, %d were promised", got.total, s.total))
	case got.first != s.off, got.last >= min(s.off+s.source.part, s.total):
		return changed(s.op, "another range came than was asked for")
	case resp.ContentLength >= 0 && resp.ContentLength != got.length():
		return changed(s.op, "a range came with another length than it says")
	}
	s.left = got.length()
	return nil
}

// next goes on to the range that follows.
func (s *stream) next() error {
	_ = s.body.Close()                                             // it is at its end, or what follows is not wanted
	resp, err := s.ask(s.off, min(s.off+s.source.part, s.total)-1) //nolint:bodyclose // Close closes it
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusPartialContent {
		s.body = resp.Body
		return changed(s.op, fmt.Sprintf("it answered %d to a range", resp.StatusCode))
	}
	return s.span(resp)
}

// Read implements io.Reader. The stall time-out runs only while the source is waited for, not while nobody reads.
func (s *stream) Read(p []byte) (int, error) {
	if s.left == 0 {
		if s.off == s.total {
			return 0, io.EOF
		}
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	if s.left > 0 && int64(len(p)) > s.left {
		p = p[:s.left]
	}
	s.stall.Reset(s.source.config.StallTimeout)
	n, err := s.body.Read(p)
	s.stall.Stop()
	s.off += int64(n)
	if s.left > 0 {
		s.left -= int64(n)
	}
	switch {
	case err == nil, errors.Is(err, io.EOF) && s.left < 0:
	case errors.Is(err, io.EOF) && s.left > 0:
		err = corrupt(s.op, fmt.Sprintf("a range ended %d bytes early", s.left))
	case errors.Is(err, io.EOF):
		err = nil
	default:
		err = failed(s.ctx, s.parent, s.op, err)
	}
	return n, err
}

// Close implements io.Closer. It ends the request rather than read what is left of it.
func (s *stream) Close() error {
	s.stall.Stop()
	s.cancel(context.Canceled)
	if s.body != nil {
		_ = s.body.Close() // nothing is lost by a failure
	}
	return nil
}
