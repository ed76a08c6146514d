package mediasource

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Filler reads len(p) bytes at off, as Media.Fill does.
type Filler func(ctx context.Context, off int64, p []byte) error

// NewRangedMedia is NewMedia for media of a known size of which fill brings any bytes, beside those that are read in
// order; first is what First returns.
func NewRangedMedia(body io.ReadCloser, size, limit, first int64, fill Filler) *Media {
	m := NewMedia(body, size, limit)
	m.first, m.fill = first, fill
	return m
}

// Ranged reports whether Fill may be used: the media are large, their size is known, and a strong ETag pins all ranges of
// them to one version.
func (m *Media) Ranged() bool { return m.fill != nil }

// First is how many bytes, from the start, are best taken by Read: they are on their way already. The rest is best had
// by Fill. Of media that are not Ranged it is Size.
func (m *Media) First() int64 {
	if m.Ranged() {
		return m.first
	}
	return m.Size
}

// Fill reads the len(p) bytes at off, of the very version that Read reads, by a request of its own; p belongs to it until
// it returns. Any number may run at once, also beside Read and Close; those that run when the media are closed, or when
// the context of Open ends, end at once. It fails as Read does, with nothing to be had of p. A range that breaks off is
// gone on with from there, a few times at most.
func (m *Media) Fill(ctx context.Context, off int64, p []byte) error {
	switch {
	case !m.Ranged():
		return errors.New("fill: the media cannot be had by ranges; ask Ranged before")
	case off < 0 || off > m.Size-int64(len(p)):
		return fmt.Errorf("fill: %d bytes at %d are not within the media's %d", len(p), off, m.Size)
	case len(p) == 0:
		return nil
	}
	return m.fill(ctx, off, p)
}
