package letters

import (
	"encoding/json"
	"reflect"
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

func decode(t *testing.T, b []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRedriveChangesTypeAndReasonOnly(t *testing.T) {
	body := completed(t)
	got, err := Redrive(body, event.ReasonReplay, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := decode(t, body)
	want["type"] = event.TypeRedrive
	want["data"].(map[string]any)["reason"] = "replay"
	if have := decode(t, got); !reflect.DeepEqual(have, want) {
		t.Errorf("got  %v\nwant %v", have, want)
	}
	e, err := event.Parse(got)
	if err != nil || !e.Redrive() {
		t.Errorf("the redrive is no redrive event: %v", err)
	}
}

// A letter that was itself a redrive: whoever made its link plans anew while a letter is open; a replay removes it, so that
// a link that lapses on the way would end in an acknowledgement of nothing.
func TestRedriveOfARedriveKeepsItsSidecarAndLeavesItsLinkBehind(t *testing.T) {
	m := decode(t, completed(t))
	data := m["data"].(map[string]any)
	m["type"], data["reason"], data["sidecar"] = event.TypeRedrive, "missing_backup", "{}\n"
	for _, expires := range []string{"2020-11-23T11:00:00Z", "2999-11-23T11:00:00Z"} {
		data["copyFrom"] = map[string]any{"url": "https://store.example.com/x", "size": json.Number("1"), "sha256": "", "crc64nvme": "", "expiresAt": expires}
		body, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Redrive(body, event.ReasonReplay, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := decode(t, body)
		wanted := want["data"].(map[string]any)
		wanted["reason"] = "replay"
		delete(wanted, "copyFrom")
		if have := decode(t, got); !reflect.DeepEqual(have, want) {
			t.Errorf("got  %v\nwant %v", have, want)
		}
	}
}

func TestRedriveTakesTheLinkThatItIsGiven(t *testing.T) {
	m := decode(t, completed(t))
	m["data"].(map[string]any)["copyFrom"] = map[string]any{"url": "https://store.example.com/old", "expiresAt": "2999-11-23T11:00:00Z"}
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Redrive(body, "dead_letter", &event.CopyFrom{URL: "https://store.example.com/new?a&b"})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := event.Parse(got); err != nil || e.Data.CopyFrom == nil || e.Data.CopyFrom.URL != "https://store.example.com/new?a&b" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestRedriveRefusesWhatIsNoEvent(t *testing.T) {
	for name, body := range map[string]string{
		"no JSON": "hello", "empty": "", "an array": "[]", "another type": `{"specversion":"1.0","type":"x"}`,
		"a newer version":      `{"specversion":"1.0","type":"com.twinreel.recording.completed.v2","data":{}}`,
		"no data":              `{"specversion":"1.0","type":"com.twinreel.recording.completed.v1"}`,
		"data in another case": strings.Replace(string(completed(t)), `"data":`, `"Data":`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Redrive([]byte(body), event.ReasonReplay, nil); err == nil {
				t.Errorf("got %s, want an error", got)
			}
		})
	}
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
