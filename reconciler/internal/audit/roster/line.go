// Package roster is the sealed log read by recordings: one line for each object that a tier was said to hold, sorted by the
// object's key. It is what the reconciler knows of recordings that the streams have long forgotten.
//
// Lines are kept in segments of 2^16, 2^20 and 2^24 leaves, each of the larger made from 16 of the smaller as soon as those
// are full; they follow from the leaves alone.
package roster

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit/leaf"
)

// ErrMalformed is returned for an object that is no part of a roster.
var ErrMalformed = errors.New("no part of a roster of the audit log")

// Line is what leaves say of one object. Where an erasure does not name the object, ObjectKey is "": such lines come first.
type Line struct {
	ObjectKey      string     `json:"objectKey,omitempty"`
	IdempotencyKey string     `json:"idempotencyKey"`
	Size           *int64     `json:"size,omitempty"`
	CRC64NVME      string     `json:"crc64nvme,omitempty"`
	SHA256         string     `json:"sha256,omitempty"`
	Primary        *time.Time `json:"primary,omitempty"`   // when primary was first said to hold it
	Backup         *time.Time `json:"backup,omitempty"`    // likewise
	Forgotten      *time.Time `json:"forgotten,omitempty"` // when it was erased on purpose, first
	Differs        bool       `json:"differs,omitempty"`   // leaves contradict each other in size or checksum; the first is shown
}

// In returns when the tier was first said to hold it, nil for never.
func (l Line) In(t tier.Tier) *time.Time {
	if t == tier.Backup {
		return l.Backup
	}
	return l.Primary
}

// compare orders lines by object, then by recording.
func (l Line) compare(other Line) int {
	return cmp.Or(cmp.Compare(l.ObjectKey, other.ObjectKey), cmp.Compare(l.IdempotencyKey, other.IdempotencyKey))
}

// FromLeaf returns the line that one leaf makes; false for one that says nothing about what is stored.
func FromLeaf(l leaf.Leaf) (Line, bool) {
	kind := l.Kind()
	switch kind {
	case event.AuditStored, event.AuditAlreadyPresent, event.AuditAcceptedUnverified, event.AuditConfirmed, event.AuditForgotten:
	default:
		return Line{}, false
	}
	d := l.Data()
	out := Line{ObjectKey: d.ObjectKey, IdempotencyKey: d.IdempotencyKey, Size: d.Size, CRC64NVME: d.CRC64NVME, SHA256: d.SHA256}
	if out.IdempotencyKey == "" {
		return Line{}, false
	}
	at := l.Stored
	switch {
	case kind == event.AuditForgotten:
		out.Forgotten = &at
	case out.ObjectKey == "":
		return Line{}, false
	case l.Tier() == tier.Primary.String():
		out.Primary = &at
	case l.Tier() == tier.Backup.String():
		out.Backup = &at
	default:
		return Line{}, false
	}
	return out, true
}

// add takes in what later leaves say of the same object.
func (l *Line) add(later Line) {
	l.Differs = l.Differs || later.Differs || contradicts(l.CRC64NVME, later.CRC64NVME) || contradicts(l.SHA256, later.SHA256) ||
		l.Size != nil && later.Size != nil && *l.Size != *later.Size
	l.CRC64NVME, l.SHA256 = cmp.Or(l.CRC64NVME, later.CRC64NVME), cmp.Or(l.SHA256, later.SHA256)
	if l.Size == nil {
		l.Size = later.Size
	}
	for _, f := range []struct {
		mine   **time.Time
		theirs *time.Time
	}{{&l.Primary, later.Primary}, {&l.Backup, later.Backup}, {&l.Forgotten, later.Forgotten}} {
		if *f.mine == nil {
			*f.mine = f.theirs
		}
	}
}

func contradicts(a, b string) bool { return a != "" && b != "" && a != b }

// encode returns the line with its line end.
func (l Line) encode() ([]byte, error) {
	b, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encode the roster's line of %s: %w", l.ObjectKey, err)
	}
	return append(b, '\n'), nil
}

// end is the last line of a segment.
type end struct {
	Lines *int64 `json:"lines"`
}

// decode reads one line. last says that it is the segment's last one, which tells how many came before.
func decode(b []byte) (l Line, count int64, last bool, err error) {
	if bytes.HasPrefix(b, []byte(`{"lines":`)) {
		var e end
		if err := json.Unmarshal(b, &e); err != nil || e.Lines == nil {
			return Line{}, 0, false, fmt.Errorf("%w: its last line", ErrMalformed)
		}
		return Line{}, *e.Lines, true, nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return Line{}, 0, false, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return l, 0, false, nil
}
