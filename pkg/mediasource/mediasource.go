// Package mediasource reads recordings from the platform's media hosts.
//
// What it hands on has been checked as far as one pass allows: the length is known or need not be, the bytes begin like
// the format that the event names, and they end where they should. An error page saved as audio, a truncated body, two
// versions spliced together never get past it. Errors are faults of part Source; none of them shows a URL.
package mediasource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/settings"
)

// Config bounds what is read, and from where.
type Config struct {
	RangeThreshold settings.Bytes `env:"TWINREEL_RANGE_THRESHOLD" envDefault:"64MiB" meaning:"from this size on a source is read by ranges"`
	MaxBytes       settings.Bytes `env:"TWINREEL_MAX_RECORDING_BYTES" envDefault:"20GiB" meaning:"largest recording that is taken"`
	AllowedCIDRs   []string       `env:"TWINREEL_SOURCE_ALLOWED_CIDRS" meaning:"private address ranges that a source may resolve to, comma-separated; anything else that is not public is refused"`
	AllowHTTP      bool           `env:"TWINREEL_SOURCE_ALLOW_HTTP" envDefault:"false" meaning:"take plain http media links"`
	StallTimeout   time.Duration  `env:"TWINREEL_SOURCE_STALL_TIMEOUT" envDefault:"30s" meaning:"give up a source that sends no byte for so long"`
}

// Check implements settings.Checker.
func (c *Config) Check() []settings.Problem {
	var out []settings.Problem
	add := func(name, text string) { out = append(out, settings.Problem{Variable: name, Text: text}) }
	if c.RangeThreshold < 1 {
		add("TWINREEL_RANGE_THRESHOLD", "want at least 1 byte")
	}
	if c.MaxBytes < 1 {
		add("TWINREEL_MAX_RECORDING_BYTES", "want at least 1 byte")
	}
	if _, err := c.prefixes(); err != nil {
		add("TWINREEL_SOURCE_ALLOWED_CIDRS", err.Error())
	}
	if c.StallTimeout <= 0 {
		add("TWINREEL_SOURCE_STALL_TIMEOUT", "want more than 0")
	}
	return out
}

// prefixes parses AllowedCIDRs.
func (c *Config) prefixes() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range c.AllowedCIDRs {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, errors.New("want address ranges such as 10.0.0.0/8,fd00::/8")
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// Request names the media to be read.
type Request struct {
	URL          string
	Format       string // the media must begin like it
	Size         int64  // what the event promised; -1 if nothing
	SizeOptional bool   // an unknown length is tolerable: the event names a sha256
}

// Source opens media.
type Source interface {
	// Open returns the media once its first bytes have been checked.
	Open(ctx context.Context, r Request) (*Media, error)
}

// stream is media on its way, in one response or in many.
type stream interface {
	io.ReadCloser
}

// Media is a recording being read. Read fails with a fault where the bytes do not end as they should, so io.EOF means
// that all of them were there.
type Media struct {
	Size int64 // bytes in all; -1 if unknown

	head  []byte // read ahead to check the format
	from  stream
	seen  int64
	limit int64
}

// NewMedia returns media of size bytes (-1: unknown) read from r, with the checks of length that every Media has. It
// serves other sources than HTTP, and tests.
func NewMedia(r io.ReadCloser, size, limit int64) *Media {
	return &Media{Size: size, from: r, limit: limit}
}

// Read implements io.Reader.
func (m *Media) Read(p []byte) (int, error) {
	if len(m.head) > 0 {
		n := copy(p, m.head)
		m.head = m.head[n:]
		return n, nil
	}
	n, err := m.from.Read(p)
	m.seen += int64(n)
	switch {
	case m.Size >= 0 && m.seen > m.Size:
		return 0, corrupt("it is longer than the %d bytes promised", m.Size)
	case m.seen > m.limit:
		return 0, corrupt("it is longer than TWINREEL_MAX_RECORDING_BYTES, %d bytes", m.limit)
	case errors.Is(err, io.EOF) && m.Size >= 0 && m.seen < m.Size:
		return n, corrupt("it ended after %d of %d bytes", m.seen, m.Size)
	case errors.Is(err, io.EOF) && m.seen == 0:
		return n, corrupt("it is empty")
	}
	return n, err
}

// Close ends the reading, at whatever point.
func (m *Media) Close() error { return m.from.Close() }

// peek reads the first bytes and holds them against the format.
func (m *Media) peek(format string) error {
	buf := make([]byte, sniffLen)
	n, err := io.ReadFull(m, buf)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	m.head = buf[:n]
	return checkMagic(format, m.head)
}

// corrupt is the fault of media that are not what they should be.
func corrupt(format string, args ...any) error {
	return fault.New(fault.Corrupt, fault.Source, "read media", fmt.Errorf(format, args...))
}
