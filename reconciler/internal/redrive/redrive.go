// Package redrive makes the events that are sent to a tier again: of an event that was accepted, or of a sidecar.
package redrive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// Sibling is what a redrive brings of the sibling's copy. Zero: nothing.
type Sibling struct {
	CopyFrom *event.CopyFrom
	Sidecar  []byte // its very bytes, which the tier takes over
}

// Of returns the event in body as a redrive event: its type and data.reason change, and data.copyFrom and data.sidecar,
// which are the sibling's or nothing; everything else stays as it was, also attributes and fields that this program does
// not know. A link that the event brings is never sent again: it lapses within the hour, and a redrive whose link has
// lapsed is acknowledged, which only somebody who plans anew makes good. The sidecar that it brings stays where the sibling
// has none to give: it may be all that names the recording. Errors are event.Parse's.
func Of(body []byte, reason string, from Sibling) ([]byte, error) {
	if _, err := event.Parse(body); err != nil {
		return nil, err
	}
	var whole, data map[string]json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		return nil, fmt.Errorf("%w: not JSON", event.ErrInvalid)
	}
	if err := json.Unmarshal(whole["data"], &data); err != nil {
		return nil, fmt.Errorf("%w: data is no object", event.ErrInvalid)
	}
	var err error
	set := func(m map[string]json.RawMessage, name string, value any) {
		b, merr := encode(value)
		if merr != nil && err == nil {
			err = fmt.Errorf("encode redrive: %w", merr)
		}
		m[name] = b
	}
	set(data, "reason", reason)
	delete(data, "copyFrom")
	if from.CopyFrom != nil {
		set(data, "copyFrom", from.CopyFrom)
	}
	if len(from.Sidecar) > 0 {
		set(data, "sidecar", string(from.Sidecar))
	}
	set(whole, "type", event.TypeRedrive)
	set(whole, "data", data)
	if err != nil {
		return nil, err
	}
	return encode(whole)
}

// Expect has a redrive accept no other bytes than these; everything else stays as it is. ErrContradicts where the event
// itself names others.
func Expect(body []byte, want digest.Digest) ([]byte, error) {
	e, err := event.Parse(body)
	if err != nil {
		return nil, err
	}
	if m := e.Data.Media; m.Size != nil && *m.Size != want.Size || m.SHA256 != "" && m.SHA256 != want.SHA256 {
		return nil, ErrContradicts
	}
	var whole, data, media map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(body, &whole), json.Unmarshal(whole["data"], &data), json.Unmarshal(data["media"], &media)); err != nil {
		return nil, fmt.Errorf("%w: its media are no object", event.ErrInvalid)
	}
	media["size"], media["sha256"] = json.RawMessage(strconv.FormatInt(want.Size, 10)), json.RawMessage(strconv.Quote(want.SHA256))
	if data["media"], err = encode(media); err != nil {
		return nil, err
	}
	if whole["data"], err = encode(data); err != nil {
		return nil, err
	}
	return encode(whole)
}

// ErrContradicts is returned for an event that names other bytes than those that are expected.
var ErrContradicts = errors.New("the event names other bytes than the sealed log")

// FromSidecar returns a redrive event made of a sidecar alone, for a recording whose event is no longer in RECORDINGS. Its
// media have no address: they come by the sibling's link, or by one that the platform gives anew.
func FromSidecar(sidecar []byte, reason string, from *event.CopyFrom, now time.Time) ([]byte, error) {
	s, err := event.ParseSidecar(sidecar)
	if err != nil {
		return nil, err
	}
	size := s.Size
	e := event.New(event.Data{
		RecordingID: s.RecordingID, Source: s.Source, DurationSeconds: s.DurationSeconds, Participants: s.Participants, Tags: s.Tags,
		CompletedAt: s.CompletedAt, Media: event.Media{Format: s.Format, Size: &size, SHA256: s.SHA256},
	}, "sidecar/"+s.SHA256, now)
	e.Type = event.TypeRedrive
	e.Data.ReceivedAt, e.Data.Reason, e.Data.CopyFrom, e.Data.Sidecar = s.ReceivedAt, reason, from, string(sidecar)
	if e.Data.ObjectKey != s.ObjectKey || e.Data.IdempotencyKey != s.IdempotencyKey {
		return nil, fmt.Errorf("%w: the sidecar's keys do not follow from its names", event.ErrInvalid)
	}
	return encode(e)
}

// Link returns a link to a store's copy of what was agreed on. objstore.ErrCannotLink.
func Link(ctx context.Context, store objstore.Reader, agreed digest.Entry) (*event.CopyFrom, error) {
	l, err := store.Link(ctx, agreed.ObjectKey, objstore.MaxLink)
	if err != nil {
		return nil, err
	}
	return &event.CopyFrom{
		URL: l.URL, Size: agreed.Size, SHA256: agreed.SHA256, CRC64NVME: digest.EncodeCRC64(agreed.CRC64), ExpiresAt: l.ExpiresAt,
	}, nil
}

// encode writes v without the escapes that would only make URLs longer.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
