package outside_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"testing"
	"time"

	"github.com/minio/crc64nvme"

	"github.com/twinreel/twinreel/deploy/local/internal/outside"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// shelf is a store in memory.
type shelf struct {
	name    string
	objects map[string]thing
	extra   []outside.Entry
	listErr error
	openErr error
}

// thing is an object on a shelf.
type thing struct {
	outside.Object
	body []byte
}

func (s *shelf) Name() string { return s.name }

func (s *shelf) List(context.Context) ([]outside.Entry, error) {
	entries := s.extra
	for key, o := range s.objects {
		entries = append(entries, outside.Entry{Key: key, Version: "v1", Size: int64(len(o.body))})
	}
	return entries, s.listErr
}

func (s *shelf) Open(_ context.Context, e outside.Entry) (outside.Object, io.ReadCloser, error) {
	o := s.objects[e.Key]
	return o.Object, io.NopCloser(bytes.NewReader(o.body)), s.openErr
}

// change edits an object in place.
func (s *shelf) change(t *testing.T, key string, edit func(*thing)) {
	t.Helper()
	o, ok := s.objects[key]
	if !ok {
		t.Fatalf("%s has no %s", s.name, key)
	}
	o.Tags = maps.Clone(o.Tags)
	edit(&o)
	s.objects[key] = o
}

// world is a truth and two stores that hold it.
type world struct {
	truth           outside.Truth
	primary, backup *shelf
	media           []byte
}

// The keys of the world's one recording.
const (
	mediaKey = "recordings/branch/call-1.wav"
	sideKey  = "metadata/branch/call-1.json"
)

// sound makes a world in which all is as it should be.
func sound() *world {
	media := bytes.Repeat([]byte("RIFF and so on "), 1000)
	sum := sha256.Sum256(media)
	sha, at := hex.EncodeToString(sum[:]), time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	said := platform.Event{
		RecordingID: "call-1", MediaFormat: "wav", Duration: 12.5, CompletedAt: &at,
		Participants: []platform.Participant{{ID: "p1", Role: "agent", Name: "Zoë"}},
		Tags:         map[string]string{"queue": "billing", "Straße": "a@b"},
	}
	w := &world{media: media, truth: outside.Truth{
		Key: "branch/call-1", ID: "call-1", Source: "branch", Must: true, May: true, Size: int64(len(media)),
		SHA256: func(s string) bool { return s == sha }, FirstSHA256: func() string { return sha }, CRC64: func() string { return crc(media) },
		Said: []platform.Event{said}, Accepted: at.Add(time.Minute),
	}}
	side := sidecarOf(map[string]any{
		"recordingId": "call-1", "source": "branch", "idempotencyKey": "branch/call-1", "objectKey": mediaKey, "format": "wav",
		"contentType": "audio/wav", "durationSeconds": 12.5, "participants": said.Participants, "tags": said.Tags, "completedAt": at,
		"receivedAt": at.Add(time.Minute), "size": len(media), "sha256": sha, "crc64nvme": crc(media),
	})
	for _, s := range []**shelf{&w.primary, &w.backup} {
		*s = &shelf{objects: map[string]thing{
			mediaKey: {body: media, Object: outside.Object{
				ContentType: "audio/wav", CRC64: crc(media),
				Tags: map[string]string{"recording-id": "call-1", "source": "branch", "queue": "billing", "Stra_e": "a_b"},
			}},
			sideKey: {body: side, Object: outside.Object{ContentType: "application/json"}},
		}}
	}
	w.primary.name, w.backup.name = "primary", "backup"
	return w
}

func crc(b []byte) string {
	h := crc64nvme.New()
	h.Write(b)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// sidecarOf is the fields as JSON, keys sorted.
func sidecarOf(fields map[string]any) []byte {
	b, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return b
}

// edited is a sidecar with one field set anew, or taken out if the value is nil.
func edited(t *testing.T, side []byte, field string, value any) []byte {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(side, &fields); err != nil {
		t.Fatal(err)
	}
	fields[field] = value
	if value == nil {
		delete(fields, field)
	}
	return sidecarOf(fields)
}

// compare reads the world.
func (w *world) compare(t *testing.T, more ...outside.Truth) outside.Report {
	t.Helper()
	r := outside.Reader{Stores: []outside.Store{w.primary, w.backup}, Parallel: 2}
	report, err := r.Compare(t.Context(), append([]outside.Truth{w.truth}, more...))
	if err != nil {
		t.Fatal(err)
	}
	return report
}
