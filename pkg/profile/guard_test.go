package profile

import (
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
)

// FuzzWhatIsTakenCanBeRead makes events of whatever payload is taken: what passes Event.Check, which guards the publishing,
// must be read again by the workers, as it was.
func FuzzWhatIsTakenCanBeRead(f *testing.F) {
	for _, body := range []string{
		`{"event":"RECORDING_COMPLETED","eventId":"e","recordingId":"rec-1","mediaFormat":"mp4","duration":183.4,"participants":[{"id":"p1","n":1e400,"m":-0.0}],` +
			`"mediaUrl":"https://cdn.example.com/a?b=c","size":123,"tags":{"a":"b"},"completedAt":"2026-11-23T10:00:00+14:00"}`,
		`{"event":"RECORDING_COMPLETED","recordingId":"r","mediaFormat":"wav","duration":1e308,"participants":[],"mediaUrl":"http://h","tags":{"":" "},"completedAt":"0000-01-01T00:00:00Z"}`,
		`{"event":"RECORDING_COMPLETED","recordingId":"A.b_c-d","mediaFormat":"ogg","duration":0,"participants":[{"x":{"y":[null,true,"é"]}}],"mediaUrl":"https://[::1]:8/","sha256":"` +
			`ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789"}`,
	} {
		f.Add([]byte(body))
	}
	now := time.Date(2026, 11, 24, 0, 0, 0, 1, time.UTC)
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := Parse("default", body)
		if err != nil || !p.Completed {
			return
		}
		e := event.New(p.Data, p.EventID, now)
		if e.Check() != nil {
			return
		}
		b, err := e.Encode()
		if err != nil {
			return // then it is not published
		}
		back, err := event.Parse(b)
		if err != nil {
			t.Fatalf("%q was taken, and cannot be read: %v", body, err)
		}
		again, err := back.Encode()
		if err != nil || string(again) != string(b) {
			t.Fatalf("%q is read as another: %s, was %s (%v)", body, again, b, err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	body := []byte(`{"event":"RECORDING_COMPLETED","eventId":"ev-1","recordingId":"rec-8a7f","mediaFormat":"mp4","duration":183.4,` +
		`"participants":[{"id":"agent-17","role":"agent","name":"A. Example"},{"id":"caller-4","role":"customer"}],` +
		`"mediaUrl":"https://media.example.com/recordings/rec-8a7f.mp4?signature=8c6976e5b5410415bde908bd4dee15dfb167a9c873fc4bb8a81f6f2ab448a918",` +
		`"size":20971520,"tags":{"queue":"billing","site":"north"},"completedAt":"2026-11-23T10:00:00Z"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("default", body); err != nil {
			b.Fatal(err)
		}
	}
}
