package profile

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/twinreel/twinreel/pkg/event"
)

// lax is how a reader that is not strict, such as Go's own, understands a webhook.
type lax struct {
	Event, EventID, RecordingID, MediaFormat, MediaURL, SHA256 string

	Duration     float64
	Size         *int64
	Tags         map[string]string
	CompletedAt  *time.Time
	Participants []struct{ ID, Role, Name string }
}

// What Parse takes, every other reader must understand the same way, and the workers must be able to read.
func FuzzPayload(f *testing.F) {
	for _, seed := range []string{
		valid, `{"event":"RECORDING_STARTED","recordingId":"rec-1"}`, `{}`, `null`, `[{"a":[{}]}]`,
		`{"event":"RECORDING_COMPLETED","recordingId":"a","mediaFormat":"wav","duration":0,"participants":[],"mediaUrl":"http://x"}`,
		`{"a":"\ud83d\ude00","A":"\u0061","a":1}`, `{"\u0061":1,"a":2}`, `{"Event":1}`, `{"\u017fize":1,"mediaU\u212al":2}`, `{"tags":{"a":"b","a":"c"}}`,
		strings.Replace(valid, `"duration":183.4`, `"duration":-0`, 1), strings.Replace(valid, `"size":123`, `"size":9223372036854775807`, 1),
		strings.Replace(valid, `10:00:00Z`, `10:00:00.123456789+14:00`, 1), strings.Repeat(`{"a":`, 70) + `1` + strings.Repeat(`}`, 70),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := Parse("emea", body)
		if err != nil {
			if text := err.Error(); len(text) > 1024 || strings.ContainsFunc(text, unicode.IsControl) {
				t.Fatalf("an error that does not fit into a line: %q", text)
			}
			return
		}
		var other lax
		if err := json.Unmarshal(body, &other); p.Completed && err != nil {
			t.Fatalf("others cannot read it: %v", err)
		}
		if p.Completed != (other.Event == completed) {
			t.Fatalf("others read the event %q", other.Event)
		}
		if p.Completed {
			sameForAll(t, p, other)
			readable(t, p)
		}
	})
}

// sameForAll holds what was read against what another reader read.
func sameForAll(t *testing.T, p Webhook, other lax) {
	t.Helper()
	d := p.Data
	switch {
	case d.RecordingID != other.RecordingID, d.Media.Format != other.MediaFormat, d.Media.URL != other.MediaURL,
		d.Media.SHA256 != strings.ToLower(other.SHA256), d.DurationSeconds != other.Duration, other.EventID != "" && p.EventID != other.EventID,
		(d.Media.Size == nil) != (other.Size == nil), d.Media.Size != nil && *d.Media.Size != *other.Size, !maps.Equal(d.Tags, other.Tags),
		(d.CompletedAt == nil) != (other.CompletedAt == nil), d.CompletedAt != nil && !d.CompletedAt.Equal(*other.CompletedAt),
		len(d.Participants) != len(other.Participants):
		t.Fatalf("read as %+v, by others as %+v", p, other)
	}
}

// readable says that the event of a payload must come out of the stream as it went in, whatever is kept of participants.
func readable(t *testing.T, p Webhook) {
	t.Helper()
	for _, keep := range []Participants{ParticipantsFull, ParticipantsIDs, ParticipantsNone} {
		d := p.Data
		d.Participants = keep.Keep(d.Participants)
		e := event.New(d, p.EventID, time.Unix(1_800_000_000, 0))
		if err := e.Check(); err != nil {
			t.Fatalf("accepted, but: %v", err)
		}
		sent, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := event.Parse(sent)
		if err != nil {
			t.Fatalf("the workers cannot read it: %v\n%s", err, sent)
		}
		if again, err := got.Encode(); err != nil || !bytes.Equal(sent, again) {
			t.Fatalf("the workers read %s\nof         %s\n%v", again, sent, err)
		}
	}
}
