package outside

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// sidecar is the metadata object as the contract describes it.
type sidecar struct {
	RecordingID     string                 `json:"recordingId"`
	Source          string                 `json:"source"`
	IdempotencyKey  string                 `json:"idempotencyKey"`
	ObjectKey       string                 `json:"objectKey"`
	Format          string                 `json:"format"`
	ContentType     string                 `json:"contentType"`
	DurationSeconds float64                `json:"durationSeconds"`
	Participants    []platform.Participant `json:"participants"`
	Tags            map[string]string      `json:"tags"`
	CompletedAt     *time.Time             `json:"completedAt"`
	ReceivedAt      time.Time              `json:"receivedAt"`
	Size            int64                  `json:"size"`
	SHA256          string                 `json:"sha256"`
	CRC64NVME       string                 `json:"crc64nvme"`
}

// clockSkew is how far receivedAt may lie after the moment in which the answer was seen.
const clockSkew = 2 * time.Second

// parseSidecar reads a metadata object: the contract's fields and no others, keys sorted.
func parseSidecar(body []byte) (sidecar, error) {
	var s sidecar
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return s, fmt.Errorf("it cannot be read: %w", err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return s, fmt.Errorf("it cannot be read: %w", err)
	}
	at := -1
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		next := bytes.Index(body, []byte(`"`+name+`":`))
		if next < at {
			return s, fmt.Errorf("its keys are not sorted: %q", name)
		}
		at = next
	}
	const want = 14
	if len(fields) != want {
		return s, fmt.Errorf("it has %d fields, want %d", len(fields), want)
	}
	return s, nil
}

// media is what was found out about a recording's media in one store.
type media struct {
	key           string
	object        Object
	sha256, crc64 string
}

// differs says what in the sidecar does not follow from the recording, the event, and the media beside it; or "".
func (s sidecar) differs(t Truth, e platform.Event, m media) string {
	var diff []string
	check := func(field string, got, want any) {
		if got != want {
			diff = append(diff, fmt.Sprintf("%s is %v, want %v", field, got, want))
		}
	}
	check("recordingId", s.RecordingID, t.ID)
	check("source", s.Source, t.Source)
	check("idempotencyKey", s.IdempotencyKey, t.Key)
	check("objectKey", s.ObjectKey, m.key)
	check("format", s.Format, e.MediaFormat)
	check("contentType", s.ContentType, contentTypes()[e.MediaFormat])
	check("durationSeconds", s.DurationSeconds, e.Duration)
	check("size", s.Size, m.object.Size)
	check("sha256", s.SHA256, m.sha256)
	check("crc64nvme", s.CRC64NVME, m.crc64)
	if !slices.Equal(s.Participants, e.Participants) {
		diff = append(diff, "participants are not the event's")
	}
	if d := mapDiff(s.Tags, e.Tags); d != "" {
		diff = append(diff, "tags: "+d)
	}
	if (s.CompletedAt == nil) != (e.CompletedAt == nil) || (s.CompletedAt != nil && !s.CompletedAt.Equal(*e.CompletedAt)) {
		diff = append(diff, "completedAt is not the event's")
	}
	if s.ReceivedAt.IsZero() || s.ReceivedAt.Location() != time.UTC {
		diff = append(diff, "receivedAt is not a time in UTC")
	}
	return strings.Join(diff, "; ")
}
