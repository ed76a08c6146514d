package letters

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
)

// completed returns the bytes of an event with everything in it that must survive.
func completed(t *testing.T) []byte {
	t.Helper()
	size := int64(9007199254740993) // not a float64
	e := event.New(event.Data{
		RecordingID: "rec-1", Source: "default", DurationSeconds: 1.5,
		Media:        event.Media{URL: "https://cdn.example.com/a.wav?b=1&signature=s3cret<x>", Format: "wav", Size: &size},
		Participants: []event.Participant{{"id": "p1", "role": "agent", "name": "Ada Lovelace", "phone": "+49 30 1"}},
		Tags:         map[string]string{"queue": "billing"},
		Extra:        map[string]json.RawMessage{"campaign": json.RawMessage(`{"n":9007199254740993,"who":"Babbage"}`)},
	}, "e1", time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC))
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.Replace(string(b), `{"specversion"`, `{"partitionkey":"k","specversion"`, 1))
}

func TestMessageIDTellsLettersAndEventsApart(t *testing.T) {
	a := letter(7, "primary", "a", queue.SourceGone)
	same, b, c := letter(7, "primary", "a", queue.SourceGone), a, a
	b.Sequence, c.EventID = 8, "other"
	if messageID(a) != messageID(same) || messageID(a) == messageID(b) || messageID(a) == messageID(c) {
		t.Errorf("got %s, %s, %s", messageID(a), messageID(b), messageID(c))
	}
}

func TestOpenOfANonEventFindsAWellFormedKeyOnly(t *testing.T) {
	for _, c := range []struct{ body, key string }{
		{`{"data":{"idempotencyKey":"emea/rec-1"}}`, "emea/rec-1"},
		{`{"data":{"idempotencyKey":"../etc"}}`, ""},
		{`{"data":{"idempotencyKey":"` + "\u001b[31m" + `"}}`, ""},
		{`{"data":[]}`, ""},
		{`nothing`, ""},
	} {
		l, _, err := open(message{subject: "recordings.dlq.primary", sequence: 1, stored: time.Unix(9, 0), body: []byte(c.body)})
		if err == nil || l.IdempotencyKey != c.key || l.EventID != "" {
			t.Errorf("%s: got %+v, %v", c.body, l, err)
		}
		if !l.DeadAt.Equal(time.Unix(9, 0)) {
			t.Errorf("%s: a letter without headers is dead since it was stored; got %v", c.body, l.DeadAt)
		}
	}
}

func TestShownEventHoldsNoLinkAndNoName(t *testing.T) {
	body := completed(t)
	l, q, err := open(message{subject: "recordings.dlq.primary", sequence: 1, body: body})
	if err != nil {
		t.Fatal(err)
	}
	f := fullOf(l, q, nil)
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"signature", "s3cret", "a.wav?", "Ada", "Lovelace", "phone", "+49", "Babbage"} {
		if strings.Contains(string(b), secret) {
			t.Errorf("%q is shown: %s", secret, b)
		}
	}
	for _, useful := range []string{`"cdn.example.com"`, `"p1"`, `"agent"`, `"billing"`, `"campaign"`} {
		if !strings.Contains(string(b), useful) {
			t.Errorf("%s is not shown: %s", useful, b)
		}
	}
}
