package mediasource

import (
	"fmt"
	"net/http"
)

// ask sends one request for the bytes first to last; last is -1 for all there is. The stall time-out covers the wait for
// the answer, of each host that we are sent to.
func (s *stream) ask(first, last int64) (*http.Response, error) {
	header := http.Header{"Accept-Encoding": {"identity"}}
	if last >= 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, last))
	}
	if s.etag != "" {
		header.Set("If-Range", s.etag)
	}
	via := s.source.transport
	if s.apart && s.idle == 0 { // after a failure: whatever the host likes
		via = s.source.ranges
	}
	defer s.stall.Stop()
	return s.source.get(s.ctx, question{via: via, of: s.of, header: header, stall: s.stall}, s.url)
}

// next asks for the range that follows.
func (s *stream) next() error {
	s.drop()
	if err := s.spend(s.op); err != nil {
		return err
	}
	resp, err := s.ask(s.off, s.until()-1) //nolint:bodyclose // Close closes it
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusPartialContent {
		resp.Body.Close()
		return changed(s.op, fmt.Sprintf("it answered %d to a range", resp.StatusCode))
	}
	return s.span(resp)
}

// until is where the range that comes next ends.
func (s *stream) until() int64 {
	if s.off < s.broken {
		return s.broken
	}
	return min(s.off+s.step, s.end)
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
	case got.first != s.off, got.last >= s.until():
		return changed(s.op, "another range came than was asked for")
	case resp.ContentLength >= 0 && resp.ContentLength != got.length():
		return changed(s.op, "a range came with another length than it says")
	}
	s.left, s.more = got.length(), resp.ContentLength < 0
	return nil
}
