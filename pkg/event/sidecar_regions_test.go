package event_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
)

// given the sidecars of two regions to which one webhook came, then they tell the same; what differs in anything else does not.
func TestSidecarsThatDifferInTheirDateTellTheSame(t *testing.T) {
	sidecar := func(change func(*event.Sidecar)) []byte {
		s := event.NewSidecar(event.New(event.Data{
			RecordingID: "rec-1", Source: "default", Media: event.Media{URL: "https://cdn.example.com/a", Format: "wav"}, Tags: map[string]string{"queue": "billing"},
		}, "e", time.Date(2026, 11, 30, 1, 0, 0, 0, time.UTC)), digest.Of([]byte("media")))
		change(&s)
		b, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	one := sidecar(func(*event.Sidecar) {})
	later := sidecar(func(s *event.Sidecar) { s.ReceivedAt = s.ReceivedAt.Add(time.Second) })
	if bytes.Equal(one, later) || !event.SameButReceived(one, later) || !event.SameButReceived(one, one) {
		t.Error("another date is another sidecar")
	}
	for name, other := range map[string][]byte{
		"another tag":   sidecar(func(s *event.Sidecar) { s.Tags = map[string]string{"queue": "sales"} }),
		"other bytes":   sidecar(func(s *event.Sidecar) { s.Size++ }),
		"something new": append([]byte(`{"more":1,`), one[1:]...),
		"none":          []byte(`{}`),
		"no JSON":       []byte(`x`),
	} {
		if event.SameButReceived(one, other) || event.SameButReceived(other, one) {
			t.Errorf("%s is the same", name)
		}
	}
}
