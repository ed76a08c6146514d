// Package event is the recording event as it travels through JetStream: a CloudEvent 1.0 in structured JSON mode, made
// by ingress, read by the workers, sent again by the reconciler. It also holds what follows from an event alone: object
// keys, tags, content type, the sidecar, and the audit events.
package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
)

// What the CloudEvents attributes of a recording event are. The trailing version grows when a reader of the older one
// would misunderstand the newer.
const (
	TypeCompleted = "com.twinreel.recording.completed.v1"
	TypeRedrive   = "com.twinreel.recording.redrive.v1"
	ContentType   = "application/cloudevents+json"

	specVersion  = "1.0"
	typePrefix   = "com.twinreel.recording."
	sourcePrefix = "/twinreel/sources/"
)

// ErrVersion is wrapped by Parse's error for an event of a type version that this program does not know: a newer
// program may have published it, so it waits rather than being given up.
var ErrVersion = errors.New("unknown type or version of event")

// ErrInvalid is wrapped by Parse's error for bytes that are no recording event.
var ErrInvalid = errors.New("not a recording event")

// Event is one recording event.
type Event struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"` // stable over redelivery of the same webhook
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject"` // the recording ID
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            Data      `json:"data"`
}

// Data is the event's payload. Fields that this version does not know are kept in Extra.
type Data struct {
	RecordingID     string            `json:"recordingId"`
	Source          string            `json:"source"`
	IdempotencyKey  string            `json:"idempotencyKey"`
	ObjectKey       string            `json:"objectKey"`
	Media           Media             `json:"media"`
	DurationSeconds float64           `json:"durationSeconds"`
	Participants    []Participant     `json:"participants"`
	Tags            map[string]string `json:"tags,omitempty"`
	CompletedAt     *time.Time        `json:"completedAt,omitempty"`
	ReceivedAt      time.Time         `json:"receivedAt"`

	Reason   string    `json:"reason,omitempty"`   // of a redrive
	CopyFrom *CopyFrom `json:"copyFrom,omitempty"` // of a redrive: the sibling's copy
	Sidecar  string    `json:"sidecar,omitempty"`  // of a redrive: the sibling's sidecar, its very bytes

	Extra map[string]json.RawMessage `json:"-"`
}

// Media says where the recording's media is and what it should be.
type Media struct {
	URL         string `json:"url"`
	Format      string `json:"format"`
	ContentType string `json:"contentType"`
	Size        *int64 `json:"size,omitempty"`   // bytes, when the platform said so
	SHA256      string `json:"sha256,omitempty"` // lower-case hex, when the platform said so
}

// Participant is one party of the recorded conversation as the platform described it: id, role, name and whatever else.
type Participant map[string]any

// UnmarshalJSON keeps numbers as the platform wrote them, however large or precise.
func (p *Participant) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var fields map[string]any
	if err := dec.Decode(&fields); err != nil {
		return err
	}
	*p = fields
	return nil
}

// CopyFrom is a short-lived read-only link to the sibling's copy.
type CopyFrom struct {
	URL       string    `json:"url"`
	Size      int64     `json:"size"`
	SHA256    string    `json:"sha256"`
	CRC64NVME string    `json:"crc64nvme"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// New returns the completed event for d, whose IDs and media are set; it fills in what follows from them: idempotency
// key, object key, content type and the CloudEvents attributes. eventID is the platform's own, or any text that is the
// same whenever the same webhook is delivered again.
func New(d Data, eventID string, now time.Time) Event {
	d.IdempotencyKey = IdempotencyKey(d.Source, d.RecordingID)
	d.ObjectKey = ObjectKey(d.IdempotencyKey, d.Media.Format)
	d.Media.ContentType = MediaType(d.Media.Format)
	d.ReceivedAt = now.UTC()
	if d.Participants == nil {
		d.Participants = []Participant{}
	}
	return Event{
		SpecVersion: specVersion, ID: MsgID(d.Source, d.RecordingID, eventID), Source: sourcePrefix + d.Source,
		Type: TypeCompleted, Subject: d.RecordingID, Time: now.UTC(), DataContentType: "application/json", Data: d,
	}
}

// Redrive reports whether the event was sent again by repair or replay.
func (e Event) Redrive() bool { return e.Type == TypeRedrive }

// ReasonReplay is data.reason of an event that an operator sent again.
const ReasonReplay = "replay"

// Replayed reports whether e is a dead letter's that was sent again by an operator: no letter of it is open any more.
func (e Event) Replayed() bool { return e.Redrive() && e.Data.Reason == ReasonReplay }

// Encode returns the event's JSON.
func (e Event) Encode() ([]byte, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return b, nil
}

// Parse reads and checks an event. Errors wrap ErrVersion or ErrInvalid and hold no value from the event but field names.
func Parse(b []byte) (Event, error) {
	var head struct {
		SpecVersion string `json:"specversion"`
		Type        string `json:"type"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return Event{}, fmt.Errorf("%w: not JSON", ErrInvalid)
	}
	switch {
	case head.Type == TypeCompleted || head.Type == TypeRedrive:
	case strings.HasPrefix(head.Type, typePrefix):
		return Event{}, fmt.Errorf("%w: %.80q", ErrVersion, head.Type)
	default:
		return Event{}, fmt.Errorf("%w: type %.80q", ErrInvalid, head.Type)
	}
	if head.SpecVersion != specVersion {
		return Event{}, fmt.Errorf("%w: specversion %.20q", ErrInvalid, head.SpecVersion)
	}
	var e Event
	if err := json.Unmarshal(b, &e); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrInvalid, fieldError(err))
	}
	if err := e.check(); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return e, nil
}

// fieldError names the field that could not be decoded, and not its value.
func fieldError(err error) error {
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) {
		return fmt.Errorf("field %s: want %s", t.Field, t.Type)
	}
	return errors.New("a field has the wrong form")
}

// dataFields are the names of Data's own fields.
var dataFields = [...]string{
	"recordingId", "source", "idempotencyKey", "objectKey", "media", "durationSeconds", "participants",
	"tags", "completedAt", "receivedAt", "reason", "copyFrom", "sidecar",
}

// UnmarshalJSON reads data and keeps the fields it does not know.
func (d *Data) UnmarshalJSON(b []byte) error {
	type plain Data
	if err := json.Unmarshal(b, (*plain)(d)); err != nil {
		return err
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	for _, name := range dataFields {
		delete(all, name)
	}
	d.Extra = nil
	if len(all) > 0 {
		d.Extra = all
	}
	return nil
}

// MarshalJSON writes the known fields and, after them, the kept unknown ones.
func (d Data) MarshalJSON() ([]byte, error) {
	type plain Data
	b, err := json.Marshal(plain(d))
	if err != nil || len(d.Extra) == 0 {
		return b, err
	}
	extra := maps.Clone(d.Extra)
	for _, name := range dataFields {
		delete(extra, name)
	}
	x, err := json.Marshal(extra)
	if err != nil || len(extra) == 0 {
		return b, err
	}
	return append(append(b[:len(b)-1], ','), x[1:]...), nil
}
