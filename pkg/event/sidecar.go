package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
)

// Sidecar is the metadata that goes with a recording into both stores: in year five, without Twinreel, an archive must
// still explain itself. Its bytes are made once, by the creator of the digest entry.
type Sidecar struct {
	RecordingID     string            `json:"recordingId"`
	Source          string            `json:"source"`
	IdempotencyKey  string            `json:"idempotencyKey"`
	ObjectKey       string            `json:"objectKey"`
	Format          string            `json:"format"`
	ContentType     string            `json:"contentType"`
	DurationSeconds float64           `json:"durationSeconds"`
	Participants    []Participant     `json:"participants"`
	Tags            map[string]string `json:"tags"`
	CompletedAt     *time.Time        `json:"completedAt"`
	ReceivedAt      time.Time         `json:"receivedAt"`
	Size            int64             `json:"size"`
	SHA256          string            `json:"sha256"`
	CRC64NVME       string            `json:"crc64nvme"`
}

// NewSidecar returns the sidecar of the event's recording with the digest d of its bytes.
func NewSidecar(e Event, d digest.Digest) Sidecar {
	s := Sidecar{
		RecordingID: e.Data.RecordingID, Source: e.Data.Source, IdempotencyKey: e.Data.IdempotencyKey, ObjectKey: e.Data.ObjectKey,
		Format: e.Data.Media.Format, ContentType: e.Data.Media.ContentType, DurationSeconds: e.Data.DurationSeconds,
		Participants: e.Data.Participants, Tags: e.Data.Tags, CompletedAt: e.Data.CompletedAt, ReceivedAt: e.Data.ReceivedAt,
		Size: d.Size, SHA256: d.SHA256, CRC64NVME: digest.EncodeCRC64(d.CRC64),
	}
	if s.Participants == nil {
		s.Participants = []Participant{}
	}
	if s.Tags == nil {
		s.Tags = map[string]string{}
	}
	return s
}

// Encode returns the sidecar as JSON with sorted keys at every depth, one line, no trailing newline.
func (s Sidecar) Encode() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode sidecar: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var tree map[string]any // encoding/json sorts a map's keys
	if err := dec.Decode(&tree); err != nil {
		return nil, fmt.Errorf("encode sidecar: %w", err)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(tree); err != nil {
		return nil, fmt.Errorf("encode sidecar: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// NewEntry returns the digest entry that the event's recording with the digest d makes where nothing is agreed on yet.
func NewEntry(e Event, d digest.Digest) (digest.Entry, error) {
	sidecar, err := NewSidecar(e, d).Encode()
	if err != nil {
		return digest.Entry{}, err
	}
	return digest.Entry{Digest: d, ObjectKey: e.Data.ObjectKey, Sidecar: sidecar}, nil
}

// EntrySize returns how many bytes the event's digest entry can have at most, whatever its recording's digest.
func EntrySize(e Event) (int, error) {
	entry, err := NewEntry(e, digest.Digest{SHA256: strings.Repeat("f", 64), CRC64: math.MaxUint64, Size: math.MaxInt64})
	if err != nil {
		return 0, err
	}
	b, err := entry.Encode()
	return len(b), err
}

// ParseSidecar reads the bytes of a sidecar.
func ParseSidecar(b []byte) (Sidecar, error) {
	var s Sidecar
	if err := json.Unmarshal(b, &s); err != nil {
		return Sidecar{}, fmt.Errorf("parse sidecar: %w", fieldError(err))
	}
	if s.RecordingID == "" || s.ObjectKey == "" || s.SHA256 == "" {
		return Sidecar{}, fmt.Errorf("parse sidecar: recordingId, objectKey or sha256 is missing")
	}
	return s, nil
}

// SameButReceived reports whether two sidecars tell the same but for when the recording was accepted, as those of two regions do
// to which one webhook came. What is not written as we write it is not the same.
func SameButReceived(a, b []byte) bool {
	var undated [2][]byte
	for i, text := range [][]byte{a, b} {
		s, err := ParseSidecar(text)
		if err != nil {
			return false
		}
		if again, err := s.Encode(); err != nil || !bytes.Equal(again, text) {
			return false
		}
		s.ReceivedAt = time.Time{}
		if undated[i], err = s.Encode(); err != nil {
			return false
		}
	}
	return bytes.Equal(undated[0], undated[1])
}

// Digest returns the digest of the recording's bytes that the sidecar names.
func (s Sidecar) Digest() (digest.Digest, error) {
	crc, err := digest.DecodeCRC64(s.CRC64NVME)
	if err != nil {
		return digest.Digest{}, fmt.Errorf("sidecar of %s: %w", s.IdempotencyKey, err)
	}
	return digest.Digest{SHA256: s.SHA256, CRC64: crc, Size: s.Size}, nil
}

// Bounds of object tags that both clouds share.
const (
	maxEventTags = 8 // ten less recording-id and source
	maxTagKey    = 128
	maxTagValue  = 256
)

// ObjectTags returns the tags of the media object, fit for both clouds: recording-id, source, and the first eight of the
// event's own by sorted key. Characters that not both clouds allow become "_", the first of names that thereby become
// equal wins, reserved names are dropped.
func (s Sidecar) ObjectTags() map[string]string {
	out := map[string]string{"recording-id": s.RecordingID, "source": s.Source}
	keys := make([]string, 0, len(s.Tags))
	for k := range s.Tags {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		name := tagText(k, maxTagKey)
		_, taken := out[name]
		if taken || name == "" || strings.HasPrefix(strings.ToLower(name), "aws:") {
			continue
		}
		if len(out) == maxEventTags+2 {
			break
		}
		out[name] = tagText(s.Tags[k], maxTagValue)
	}
	return out
}

// tagText replaces what S3 or Azure refuse in a tag and cuts the rest, all ASCII by then, to limit characters.
func tagText(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune(" +-./:=_", r):
			return r
		}
		return '_'
	}, s)
	return s[:min(len(s), limit)]
}
