package mediasource

import (
	"context"
	"errors"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/platform"
)

// Links is asked for fresh links: a platform.API.
type Links interface {
	// Resolve returns a fresh link to a recording of the source. platform.ErrNoResolver; else faults.
	Resolve(ctx context.Context, source, recordingID string) (string, error)
}

// Fresh is a Source that asks the platform for a fresh link where the one at hand is gone, or where there is none. What it
// gets goes through all that any link goes through.
type Fresh struct {
	Media Source
	Links Links
}

// Open implements Source.
func (f Fresh) Open(ctx context.Context, r Request) (*Media, error) {
	gone := noLink()
	if r.URL != "" {
		var m *Media
		if m, gone = f.Media.Open(ctx, r); !fault.Is(gone, fault.SourceGone, fault.Source) {
			return m, gone
		}
	}
	link, err := f.Links.Resolve(ctx, r.Source, r.RecordingID)
	switch {
	case errors.Is(err, platform.ErrNoResolver):
		return nil, gone
	case err != nil:
		return nil, err
	}
	r.URL = link
	return f.Media.Open(ctx, r)
}

// noLink is the fault of a recording that nobody gave a link to: a redrive that was made from a sidecar.
func noLink() error {
	return fault.New(fault.SourceGone, fault.Source, "open media", errors.New("the event has no link to it"))
}
