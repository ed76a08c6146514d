package redrive

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
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

func TestARedriveChangesTypeAndReasonOnly(t *testing.T) {
	body := completed(t)
	got, err := Of(body, event.ReasonReplay, Sibling{})
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
func TestARedriveOfARedriveKeepsItsSidecarAndLeavesItsLinkBehind(t *testing.T) {
	m := decode(t, completed(t))
	data := m["data"].(map[string]any)
	m["type"], data["reason"], data["sidecar"] = event.TypeRedrive, "missing_backup", "{}\n"
	for _, expires := range []string{"2020-11-23T11:00:00Z", "2999-11-23T11:00:00Z"} {
		data["copyFrom"] = map[string]any{"url": "https://store.example.com/x", "size": json.Number("1"), "sha256": "", "crc64nvme": "", "expiresAt": expires}
		body, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Of(body, event.ReasonReplay, Sibling{})
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

func TestARedriveTakesTheLinkThatItIsGiven(t *testing.T) {
	m := decode(t, completed(t))
	m["data"].(map[string]any)["copyFrom"] = map[string]any{"url": "https://store.example.com/old", "expiresAt": "2999-11-23T11:00:00Z"}
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Of(body, "dead_letter", Sibling{CopyFrom: &event.CopyFrom{URL: "https://store.example.com/new?a&b"}})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := event.Parse(got); err != nil || e.Data.CopyFrom == nil || e.Data.CopyFrom.URL != "https://store.example.com/new?a&b" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestARedriveRefusesWhatIsNoEvent(t *testing.T) {
	for name, body := range map[string]string{
		"no JSON": "hello", "empty": "", "an array": "[]", "another type": `{"specversion":"1.0","type":"x"}`,
		"a newer version":      `{"specversion":"1.0","type":"com.twinreel.recording.completed.v2","data":{}}`,
		"no data":              `{"specversion":"1.0","type":"com.twinreel.recording.completed.v1"}`,
		"data in another case": strings.Replace(string(completed(t)), `"data":`, `"Data":`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Of([]byte(body), event.ReasonReplay, Sibling{}); err == nil {
				t.Errorf("got %s, want an error", got)
			}
		})
	}
}

// given a recording of which only a sidecar is left to tell, when it is sent again, then the event names it as its first
// one did, has no address, and carries the sidecar's very bytes.
func TestARedriveIsMadeOfASidecarAlone(t *testing.T) {
	first, err := event.Parse(completed(t))
	if err != nil {
		t.Fatal(err)
	}
	side, err := event.NewSidecar(first, digest.Of([]byte("media"))).Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := FromSidecar(side, "repair", nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	e, err := event.Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	if !e.Redrive() || e.Data.Sidecar != string(side) || e.Data.Media.URL != "" || *e.Data.Media.Size != 5 || e.Data.ObjectKey != first.Data.ObjectKey ||
		e.Data.IdempotencyKey != first.Data.IdempotencyKey || !e.Data.ReceivedAt.Equal(first.Data.ReceivedAt) || e.Data.Reason != "repair" {
		t.Errorf("got %+v", e)
	}
	for name, bad := range map[string]string{
		"no JSON": "x", "another key": strings.Replace(string(side), "recordings/rec-1.wav", "recordings/rec-2.wav", 1), "nothing": "{}",
	} {
		if _, err := FromSidecar([]byte(bad), "repair", nil, time.Now()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestARedriveThatExpectsBytesChangesNothingElse(t *testing.T) {
	want := digest.Of([]byte("media"))
	body, err := Of([]byte(strings.Replace(string(completed(t)), `,"size":9007199254740993`, "", 1)), "repair", Sibling{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Expect(body, want)
	if err != nil {
		t.Fatal(err)
	}
	m := decode(t, body)
	media := m["data"].(map[string]any)["media"].(map[string]any)
	media["size"], media["sha256"] = json.Number("5"), want.SHA256
	if have := decode(t, got); !reflect.DeepEqual(have, m) {
		t.Errorf("got  %v\nwant %v", have, m)
	}
	again, err := Expect(got, want)
	if err != nil || string(again) != string(got) {
		t.Errorf("what it says already: %v", err)
	}
	for _, other := range []digest.Digest{digest.Of([]byte("other")), {Size: 6, SHA256: want.SHA256}} {
		if _, err := Expect(got, other); !errors.Is(err, ErrContradicts) {
			t.Errorf("other bytes: %v", err)
		}
	}
}
