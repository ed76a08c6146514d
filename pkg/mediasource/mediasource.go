// Package mediasource reads recordings from the platform's media host, and lets through only what can be one: the right
// length, the right kind of file, one version of it from the first byte to the last, from an address that may be asked.
//
// Where a strong ETag pins the version and ranges are to be had, an answer that breaks off is gone on with by a request
// for what is missing, up to 3 in a row that bring nothing and 16 for one range; and of large media any ranges can be had
// side by side (Media.Fill). An answer of another version, length or place than was asked for ends the reading.
//
// Media come from a platform (NewHTTP; a Fresh around it asks for a fresh link where one is gone), or from the sibling's
// store (NewSibling).
//
// Errors are faults of part Source, or Platform where the platform's API was asked. Their text names the host, never the
// link. By class:
//
//	SourceGone   401, 403, 404, 410: the link is expired or the media missing (Status is set)
//	Throttled    429
//	Unavailable  5xx, refused, reset, cut off, timed out, stalled, no such host, an untrusted certificate
//	Corrupt      the length is unknown, wrong or over the bound; empty; compressed; not the format that was promised
//	Transient    the media changed while it was read, or an answer that has no place in any of these: start again
//	Permanent    a link, redirect or address that must not be asked; the text names the setting that would allow it
package mediasource

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Request says what to read, and what is known of it.
type Request struct {
	Source      string // whose platform it is: its token and its resolver are asked with
	RecordingID string // by which the platform knows it

	URL    string // the media link; a secret. "" where there is none
	Format string // one of event.Formats
	Size   int64  // the promised length in bytes, -1 if unknown
	// SizeOptional says that the bytes will be held against a known sha256, so that a length that nobody names is no danger.
	SizeOptional bool
}

// Source opens media.
type Source interface {
	// Open returns the media once its first bytes are there and are what the format begins with. The context covers the
	// reading as well.
	Open(ctx context.Context, r Request) (*Media, error)
}

// Media is one recording's bytes, in order. Read returns io.EOF only at the true end, after the length was checked; any
// other error is a fault. It is not for concurrent use, but for Fill. Close is prompt, and right at any time.
type Media struct {
	Size int64  // in bytes, -1 if unknown
	Host string // the host of the link, with its port if it has one; "" if they come from elsewhere

	body  io.ReadCloser
	limit int64
	seen  int64  // bytes that body has given
	head  []byte // of these, what was looked at and is yet to be given out
	err   error  // how it ended

	first int64
	fill  Filler // nil if the media are not Ranged
}

// NewMedia makes Media of a body that promises size bytes (-1: unknown) and may have limit at the most. Errors of body's
// are handed on as they are.
func NewMedia(body io.ReadCloser, size, limit int64) *Media {
	return &Media{Size: size, body: body, limit: limit}
}

// Read implements io.Reader.
func (m *Media) Read(p []byte) (int, error) {
	if len(m.head) > 0 {
		n := copy(p, m.head)
		m.head = m.head[n:]
		return n, nil
	}
	if m.err != nil || len(p) == 0 {
		return 0, m.err
	}
	n, err := m.body.Read(p)
	m.seen += int64(n)
	if over := m.over(); over != nil {
		m.err = over
		return 0, over
	}
	if errors.Is(err, io.EOF) {
		err = m.ended()
	}
	if m.err = err; n > 0 {
		return n, nil // how it ended is told by the next call
	}
	return 0, err
}

// Close ends the reading.
func (m *Media) Close() error {
	if m.err == nil {
		m.err = errClosed
	}
	m.head = nil
	return m.body.Close()
}

// errClosed is what reading on after Close ends with.
var errClosed = errors.New("the media are closed")

// over is the fault of more bytes than may come.
func (m *Media) over() error {
	switch {
	case m.Size >= 0 && m.seen > m.Size:
		return corrupt(m.op(), fmt.Sprintf("more than the promised %d bytes came", m.Size))
	case m.seen > m.limit:
		return corrupt(m.op(), tooLong)
	}
	return nil
}

// ended says whether a body that ended by itself ended where it should: io.EOF if so.
func (m *Media) ended() error {
	switch {
	case m.seen == 0:
		return corrupt(m.op(), empty)
	case m.Size >= 0 && m.seen < m.Size:
		return corrupt(m.op(), fmt.Sprintf("only %d of %d bytes came", m.seen, m.Size))
	}
	return io.EOF
}

// look holds the first bytes against the format; they are given out by Read all the same.
func (m *Media) look(format string) error {
	head := make([]byte, headBytes)
	n, err := io.ReadFull(m, head)
	switch {
	case n < headBytes && m.err != nil && !errors.Is(m.err, io.EOF):
		return m.err
	case n < headBytes && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	m.head = head[:n]
	if err := checkMagic(format, m.head); err != nil {
		return corrupt(m.op(), err.Error())
	}
	return nil
}

func (m *Media) op() string {
	if m.Host == "" {
		return "read media"
	}
	return "read media from " + m.Host
}
