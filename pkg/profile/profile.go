// Package profile reads webhook bodies of the default profile, the one way in which platforms are understood: strictly, so
// that no two readers can understand a body differently. Ingress takes them from HTTP, and the reconciler from a file.
package profile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
)

// completed is the event of the default profile that Twinreel takes; all others are let pass.
const completed = "RECORDING_COMPLETED"

// Webhook is what a webhook of the default profile says.
type Webhook struct {
	Completed   bool   // it is a RECORDING_COMPLETED; else only RecordingID may be set
	RecordingID string // valid or empty
	EventID     string // the platform's, or made from the body
	Data        event.Data
}

// object is a JSON object whose keys are unique.
type object map[string]json.RawMessage

// own are the profile's keys, participantOwn those of a participant.
var (
	own            = [...]string{"event", "eventId", "recordingId", "mediaFormat", "duration", "participants", "mediaUrl", "size", "sha256", "tags", "completedAt"}
	participantOwn = [...]string{"id", "role", "name"}
)

// Parse reads the body of a webhook of source. An error names what is wrong, but no value.
func Parse(source string, body []byte) (Webhook, error) {
	if err := checkStrict(body); err != nil {
		return Webhook{}, err
	}
	var o object
	if err := json.Unmarshal(body, &o); err != nil || o == nil {
		return Webhook{}, wrong("(body)", "want a JSON object")
	}
	if err := checkCase(o, "", own[:]...); err != nil {
		return Webhook{}, err
	}
	name, err := o.text("event", true)
	if err != nil {
		return Webhook{}, err
	}
	if name != completed {
		id, err := o.text("recordingId", false)
		if err != nil || event.CheckRecordingID(id) != nil {
			id = ""
		}
		return Webhook{RecordingID: id}, nil
	}
	return o.completed(source, body)
}

// completed reads the fields of a RECORDING_COMPLETED.
func (o object) completed(source string, body []byte) (Webhook, error) {
	p := Webhook{Completed: true, Data: event.Data{Source: source}}
	d := &p.Data
	for _, read := range []func() error{
		func() (err error) { p.EventID, err = o.text("eventId", false); return err },
		func() (err error) {
			d.RecordingID, err = o.checked("recordingId", true, event.CheckRecordingID)
			return err
		},
		func() (err error) {
			d.Media.Format, err = o.checked("mediaFormat", true, event.CheckFormat)
			return err
		},
		func() (err error) { d.DurationSeconds, err = o.duration(); return err },
		func() (err error) { d.Participants, err = o.participants(); return err },
		func() (err error) {
			d.Media.URL, err = o.checked("mediaUrl", true, event.CheckMediaURL)
			return err
		},
		func() (err error) { d.Media.Size, err = o.size(); return err },
		func() (err error) { d.Media.SHA256, err = o.sha256(); return err },
		func() (err error) { d.Tags, err = o.tags(); return err },
		func() (err error) { d.CompletedAt, err = o.time("completedAt"); return err },
	} {
		if err := read(); err != nil {
			return Webhook{}, err
		}
	}
	p.RecordingID = d.RecordingID
	if p.EventID == "" { // a platform sends the same bytes again; another body must not pass for a duplicate
		sum := sha256.Sum256(body)
		p.EventID = "sha256:" + hex.EncodeToString(sum[:])
	}
	return p, nil
}

// raw returns a field's JSON, nil when it is absent or null.
func (o object) raw(name string, required bool) (json.RawMessage, error) {
	v := o[name]
	if v == nil || bytes.Equal(v, []byte("null")) {
		if required {
			return nil, wrong(name, "is missing")
		}
		return nil, nil
	}
	return v, nil
}

// text returns a field that is a string. A required one is not empty.
func (o object) text(name string, required bool) (string, error) {
	v, err := o.raw(name, required)
	if v == nil || err != nil {
		return "", err
	}
	if v[0] != '"' {
		return "", wrong(name, "want a string")
	}
	s := unquote(v)
	if s == "" && required {
		return "", wrong(name, "is empty")
	}
	return s, nil
}

// checked returns a string field that check has nothing against.
func (o object) checked(name string, required bool, check func(string) error) (string, error) {
	s, err := o.text(name, required)
	if err != nil || (s == "" && !required) {
		return "", err
	}
	if err := check(s); err != nil {
		return "", wrong(name, "%v", err)
	}
	return s, nil
}

func (o object) duration() (float64, error) {
	v, err := o.raw("duration", true)
	if err != nil {
		return 0, err
	}
	var f float64
	if json.Unmarshal(v, &f) != nil || f < 0 || math.IsInf(f, 0) {
		return 0, wrong("duration", "want seconds, a number of 0 or more")
	}
	return math.Abs(f), nil // not -0
}

func (o object) size() (*int64, error) {
	v, err := o.raw("size", false)
	if v == nil || err != nil {
		return nil, err
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || n < 0 {
		return nil, wrong("size", "want bytes, a whole number of 0 or more")
	}
	n = max(n, 0)
	return &n, nil
}

func (o object) sha256() (string, error) {
	s, err := o.text("sha256", false)
	if err != nil || s == "" {
		return "", err
	}
	s = strings.ToLower(s)
	if err := event.CheckSHA256(s); err != nil {
		return "", wrong("sha256", "%v", err)
	}
	return s, nil
}

func (o object) tags() (map[string]string, error) {
	v, err := o.raw("tags", false)
	if v == nil || err != nil {
		return nil, err
	}
	var all map[string]*string
	if json.Unmarshal(v, &all) != nil {
		return nil, wrong("tags", "want an object whose values are strings")
	}
	tags := make(map[string]string, len(all))
	for k, s := range all {
		if s == nil {
			return nil, wrong("tags", "want an object whose values are strings")
		}
		tags[k] = *s
	}
	return tags, nil
}

func (o object) time(name string) (*time.Time, error) {
	s, err := o.text(name, false)
	if err != nil || s == "" {
		return nil, err
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.UTC().Year() < 0 || t.UTC().Year() > 9999 {
		return nil, wrong(name, "want a time as in RFC 3339, such as 2026-11-23T10:00:00Z")
	}
	t = t.UTC()
	return &t, nil
}
