package transfer

import (
	"context"
	"errors"
	"net/http"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/mediasource"
)

// ErrLinkExpired is returned where neither media link nor resolver helped and the redrive's link to the sibling's copy is
// past its time: never a failure of the recording. Whoever made the redrive makes another.
var ErrLinkExpired = errors.New("the redrive's link to the sibling's copy has expired")

// opener opens a recording's media.
type opener func(ctx context.Context, data event.Data) (*mediasource.Media, error)

// obtain stages the recording and settles what both tiers store. Its bytes come from the platform: by the event's link, or
// by a fresh one. Where they cannot be had, or are not those that were agreed on, a redrive's link to the sibling's copy is
// what is left.
func (c *Copier) obtain(ctx context.Context, job Job, hold *hold) (*staged, digest.Held, error) {
	s, held, err := c.take(ctx, job, hold, c.platform, digest.Digest{})
	if err == nil || ctx.Err() != nil || !job.Event.Redrive() || job.Event.Data.CopyFrom == nil || c.Sibling == nil || !sourceFailed(err) {
		return s, held, err
	}
	return c.fromSibling(ctx, job, hold, err)
}

// take stages the media that open opens, which must be these where want is known, and agrees on them.
func (c *Copier) take(ctx context.Context, job Job, hold *hold, open opener, want digest.Digest) (*staged, digest.Held, error) {
	s, err := c.stage(ctx, job, hold, open)
	if err != nil {
		return nil, digest.Held{}, err
	}
	if want.Known() && s.digest != want {
		s.discard()
		return nil, digest.Held{}, fault.New(fault.Corrupt, fault.Source, "check the sibling's copy", errors.New("its bytes are not those that the redrive names"))
	}
	held, err := c.agree(ctx, job, s.digest)
	if err != nil {
		s.discard()
		return nil, digest.Held{}, err
	}
	return s, held, nil
}

// platform opens the media that the source offers.
func (c *Copier) platform(ctx context.Context, data event.Data) (*mediasource.Media, error) {
	size := int64(-1)
	if data.Media.Size != nil {
		size = *data.Media.Size
	}
	return c.Source.Open(ctx, mediasource.Request{
		Source: data.Source, RecordingID: data.RecordingID,
		URL: data.Media.URL, Format: data.Media.Format, Size: size, SizeOptional: data.Media.SHA256 != "",
	})
}

// sourceFailed reports whether err is of the platform, or of the bytes that it gave.
func sourceFailed(err error) bool {
	part := fault.PartOf(err)
	return part == fault.Source || part == fault.Platform || errors.Is(err, errOtherBytes)
}

// fromSibling takes the sibling's copy, after the platform's failure cause. Only what is wrong with the recording itself
// may count against it: a copy that is of no use leaves the cause; the sibling's store being sick is nobody's failure.
func (c *Copier) fromSibling(ctx context.Context, job Job, hold *hold, cause error) (*staged, digest.Held, error) {
	const op = "take the sibling's copy"
	if !c.Now().Before(job.Event.Data.CopyFrom.ExpiresAt) {
		return nil, digest.Held{}, fault.New(fault.SourceGone, fault.Sibling, op, ErrLinkExpired)
	}
	want, err := copyDigest(job.Event.Data.CopyFrom)
	if err != nil {
		return nil, digest.Held{}, err
	}
	s, held, err := c.take(ctx, job, hold, c.sibling, want)
	if err == nil {
		s.sibling = true
		return s, held, nil
	}
	switch class, status := fault.ClassOf(err), fault.StatusOf(err); {
	case ctx.Err() != nil || !sourceFailed(err):
		return nil, digest.Held{}, err // of our own store, the agreement, this process
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return nil, digest.Held{}, fault.New(fault.SourceGone, fault.Sibling, op, ErrLinkExpired)
	case class == fault.Unavailable || class == fault.Throttled || class == fault.Transient:
		sick := fault.New(class, fault.Sibling, op, err)
		sick.Status, sick.RetryAfter = status, fault.RetryAfterOf(err)
		return nil, digest.Held{}, sick
	}
	c.Log.Warn("the sibling's copy is of no use", zap.String("tier", c.Tier.String()), zap.String("recording_id", job.Event.Data.IdempotencyKey),
		zap.String("error", fault.Text(err)))
	return nil, digest.Held{}, cause
}

// sibling opens the sibling's copy.
func (c *Copier) sibling(ctx context.Context, data event.Data) (*mediasource.Media, error) {
	return c.Sibling.Open(ctx, mediasource.Request{URL: data.CopyFrom.URL, Format: data.Media.Format, Size: data.CopyFrom.Size})
}
