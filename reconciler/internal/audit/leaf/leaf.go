// Package leaf is one line of the sealed log: what the AUDIT stream's message of one sequence said, made from that message
// alone, so that everybody who has the message makes the same bytes.
package leaf

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twinreel/twinreel/pkg/event"
)

// ErrMalformed is returned for a line that this package has not written.
var ErrMalformed = errors.New("no leaf of the audit log")

// Leaf is one message of the AUDIT stream, or the place of one that is lost. The leaf of sequence n has the index n-1.
type Leaf struct {
	Sequence uint64
	Subject  string
	Stored   time.Time // by the stream, UTC
	MsgID    string    // "" for none
	Body     []byte    // byte for byte
	Gap      bool      // the message is lost; all but Sequence is empty
}

// head is a line up to the message's body.
type head struct {
	Sequence uint64     `json:"sequence"`
	Gap      bool       `json:"gap,omitempty"`
	Subject  string     `json:"subject,omitempty"`
	Stored   *time.Time `json:"stored,omitempty"`
	MsgID    string     `json:"msgId,omitempty"`
}

// line is all that a line may hold.
type line struct {
	head
	Event  json.RawMessage `json:"event,omitempty"`  // a body that is compact JSON
	Text   *string         `json:"text,omitempty"`   // another body
	Base64 []byte          `json:"base64,omitempty"` // one that is no text
}

// Gap returns the leaf of a message that is lost.
func Gap(sequence uint64) Leaf { return Leaf{Sequence: sequence, Gap: true} }

// Line returns the leaf as one line of JSON with its line end: the bytes that are hashed.
func (l Leaf) Line() []byte {
	h := head{Sequence: l.Sequence, Gap: l.Gap}
	if !l.Gap {
		stored := l.Stored.UTC()
		h.Subject, h.Stored, h.MsgID = l.Subject, &stored, l.MsgID
	}
	out, err := json.Marshal(h)
	if err != nil { // a year beyond 9999
		out = fmt.Appendf(nil, `{"sequence":%d`, l.Sequence)
	} else {
		out = out[:len(out)-1]
	}
	switch {
	case l.Gap:
	case isPlainJSON(l.Body):
		out = append(append(out, `,"event":`...), l.Body...)
	case utf8.Valid(l.Body):
		text, _ := json.Marshal(string(l.Body)) // it cannot fail
		out = append(append(out, `,"text":`...), text...)
	default:
		out = append(base64.StdEncoding.AppendEncode(append(out, `,"base64":"`...), l.Body), '"')
	}
	return append(out, "}\n"...)
}

// isPlainJSON reports whether b can stand in a line as it is, and comes out of it byte for byte.
func isPlainJSON(b []byte) bool {
	var compact bytes.Buffer
	return utf8.Valid(b) && json.Compact(&compact, b) == nil && bytes.Equal(compact.Bytes(), b)
}

// Parse reads a line back. It takes only what Line writes, byte for byte: ErrMalformed.
func Parse(b []byte) (Leaf, error) {
	var v line
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return Leaf{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	l := Leaf{Sequence: v.Sequence, Gap: v.Gap, Subject: v.Subject, MsgID: v.MsgID}
	if v.Stored != nil {
		l.Stored = v.Stored.UTC()
	}
	switch {
	case v.Event != nil:
		l.Body = v.Event
	case v.Text != nil:
		l.Body = []byte(*v.Text)
	default:
		l.Body = v.Base64
	}
	if !bytes.Equal(l.Line(), b) {
		return Leaf{}, fmt.Errorf("%w: it is not written as leaves are", ErrMalformed)
	}
	return l, nil
}

// Kind returns what the leaf reports, "" for a gap or a subject that is none of audit.<kind>.<tier>.
func (l Leaf) Kind() event.AuditKind {
	kind, _ := l.subject()
	return event.AuditKind(kind)
}

// Tier returns the tier's name that the subject ends with, or event.AuditAll.
func (l Leaf) Tier() string {
	_, t := l.subject()
	return t
}

func (l Leaf) subject() (kind, tier string) {
	parts := strings.Split(l.Subject, ".")
	if len(parts) != 3 || parts[0] != "audit" {
		return "", ""
	}
	return parts[1], parts[2]
}

// IsMark reports whether the log is sealed up to this leaf.
func (l Leaf) IsMark() bool { return l.Kind() == event.AuditMark && l.Tier() == event.AuditAll }

// Data returns the audit event's payload, empty where the body is no audit event.
func (l Leaf) Data() event.AuditData {
	var e struct {
		Data event.AuditData `json:"data"`
	}
	if json.Unmarshal(l.Body, &e) != nil {
		return event.AuditData{}
	}
	return e.Data
}
