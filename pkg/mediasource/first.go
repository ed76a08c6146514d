package mediasource

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// first is the stream that reads a recording from its first byte on, and settles its version.
type first struct {
	*stream
	want   Request
	ranged bool // large, and ranges of the version are known, or said, to be had

	media context.Context // ends at Close and with the caller's; not when only this stream stalls
	close context.CancelCauseFunc
}

func newFirst(parent context.Context, h *HTTP, u *url.URL, r Request) *first {
	f := &first{want: r}
	f.media, f.close = context.WithCancelCause(parent)
	f.stream = newStream(f.media, version{source: h, of: r.Source, url: u, op: "read media from " + u.Hostname(), total: r.Size})
	f.end, f.step = r.Size, h.part
	return f
}

// start asks for the media.
func (f *first) start() error {
	large := f.want.Size >= int64(f.source.config.RangeThreshold)
	if large {
		if started, err := f.startRanged(); started || err != nil {
			return err
		}
	}
	resp, err := f.ask(0, -1) //nolint:bodyclose // Close closes it
	if err != nil {
		return err
	}
	return f.whole(resp, !large)
}

// startRanged asks for the first range of media whose size is known to be large. It reports whether that will do: where
// ranges cannot be had, or cannot be ranged to one version, one plain answer has to bring everything.
func (f *first) startRanged() (bool, error) {
	resp, err := f.ask(0, min(f.step, f.end)-1)
	if err != nil {
		return false, err
	}
	etag := strong(resp.Header.Get("ETag"))
	switch {
	case resp.StatusCode == http.StatusOK:
		return true, f.whole(resp, false) // it knows no ranges, whatever it says
	case resp.StatusCode != http.StatusPartialContent || etag == "":
		resp.Body.Close()
		return false, nil
	}
	f.pin(resp, etag)
	return true, f.span(resp)
}

// pin settles the version.
func (f *first) pin(resp *http.Response, etag string) {
	f.etag, f.apart = etag, resp.ProtoMajor > 1
	f.ranged = f.total >= int64(f.source.config.RangeThreshold)
}

// whole takes an answer that brings everything. If ranges of the same version can be had (which ranges allows to try), it
// may be gone on from where it breaks off; and if it turns out to be large, only its first part is read.
func (f *first) whole(resp *http.Response, ranges bool) error {
	f.body, f.left = resp.Body, -1
	length := resp.ContentLength
	if length >= 0 && f.total >= 0 && length != f.total {
		return corrupt(f.op, fmt.Sprintf("%d bytes would come, %d were promised", length, f.total))
	}
	f.total = max(f.total, length)
	f.end = f.total
	switch {
	case f.total < 0 && !f.want.SizeOptional:
		return corrupt(f.op, "the length is unknown: no Content-Length, and neither size nor sha256 in the event")
	case f.total > int64(f.source.config.MaxBytes):
		return corrupt(f.op, tooLong)
	case f.total == 0:
		return corrupt(f.op, empty)
	}
	etag := strong(resp.Header.Get("ETag"))
	if !ranges || f.total < 0 || etag == "" || !strings.EqualFold(resp.Header.Get("Accept-Ranges"), "bytes") {
		return nil
	}
	switch f.pin(resp, etag); {
	case !f.ranged:
		f.step = f.total // one request for all that is missing
	case length >= 0:
		f.left = min(f.step, length)
	}
	return nil
}

// fill is Media.Fill, by a stream beside this one.
func (f *first) fill(ctx context.Context, off int64, p []byte) error {
	if f.media.Err() != nil {
		return failed(f.media, f.op, f.media.Err())
	}
	s := newStream(ctx, f.version)
	defer func() { _ = s.Close() }()
	defer context.AfterFunc(f.media, func() { s.cancel(reason(f.media)) })()
	s.off, s.mark, s.end, s.step = off, off, off+int64(len(p)), int64(len(p))
	for len(p) > 0 {
		n, err := s.Read(p) // not io.ReadFull: what is wrong with the end of a range may come along with its last bytes
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// Close implements io.Closer. It ends all streams of the media.
func (f *first) Close() error {
	f.close(errClosed)
	return f.stream.Close()
}
