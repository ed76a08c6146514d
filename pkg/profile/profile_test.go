package profile

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/event"
)

// valid is a payload with every field of the default profile.
const valid = `{"event":"RECORDING_COMPLETED","eventId":"ev-1","recordingId":"rec-1","mediaFormat":"mp4","duration":183.4,` +
	`"participants":[{"id":"p1","role":"agent","name":"Ada","since":12345678901234567890}],"mediaUrl":"https://cdn.example.com/m/1?signature=abc",` +
	`"size":123,"sha256":"` + sha + `","tags":{"queue":"billing"},"completedAt":"2026-11-23T10:00:00Z"}`

const sha = "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08"

// with returns valid with fields set to JSON texts; an empty text leaves the field out.
func with(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var o map[string]json.RawMessage
	if err := json.Unmarshal([]byte(valid), &o); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			delete(o, pairs[i])
			continue
		}
		o[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAllFieldsOfTheProfileAreRead(t *testing.T) {
	p, err := Parse("emea", []byte(valid))
	if err != nil {
		t.Fatal(err)
	}
	d := p.Data
	if !p.Completed || p.RecordingID != "rec-1" || p.EventID != "ev-1" || d.Source != "emea" || d.RecordingID != "rec-1" || d.Media.Format != "mp4" ||
		d.DurationSeconds != 183.4 || d.Media.URL != "https://cdn.example.com/m/1?signature=abc" || *d.Media.Size != 123 ||
		d.Media.SHA256 != strings.ToLower(sha) || !reflect.DeepEqual(d.Tags, map[string]string{"queue": "billing"}) ||
		d.CompletedAt.Format("2006-01-02 15:04") != "2026-11-23 10:00" {
		t.Errorf("got %+v", p)
	}
	want := event.Participant{"id": "p1", "role": "agent", "name": "Ada", "since": json.Number("12345678901234567890")}
	if len(d.Participants) != 1 || !maps.Equal(d.Participants[0], want) {
		t.Errorf("participants: got %v, want %v", d.Participants, want)
	}
}

func TestWhatIsTaken(t *testing.T) {
	for name, body := range map[string][]byte{
		"optional fields absent": with(t, "eventId", "", "size", "", "sha256", "", "tags", "", "completedAt", ""),
		"optional fields null":   with(t, "eventId", "null", "size", "null", "sha256", "null", "tags", "null", "completedAt", "null"),
		"optional fields empty":  with(t, "eventId", `""`, "sha256", `""`, "tags", "{}", "completedAt", `""`),
		"nobody took part":       with(t, "participants", "[]"),
		"participant unnamed":    with(t, "participants", `[{"name":null}]`),
		"no time at all":         with(t, "duration", "0", "size", "0"),
		"an unknown key, deep":   with(t, "new", `{"a":[1,{"b":null}]}`),
		"another case in tags":   with(t, "tags", `{"Event":"a","event":"b","RECORDINGID":"c"}`),
		"another case elsewhere": with(t, "new", `{"Event":1,"event":2}`),
		"a surrogate pair":       with(t, "new", `"\ud83d\ude00 \\ud800"`),
		"blanks around":          []byte(" \n" + valid + "\r\n\t"),
		"longest recording ID":   with(t, "recordingId", `"`+strings.Repeat("a", 128)+`"`),
		"longest URL":            with(t, "mediaUrl", `"https://e/`+strings.Repeat("a", 4096-10)+`"`),
		"time in another zone":   with(t, "completedAt", `"2026-11-23T10:00:00.123+05:30"`),
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := Parse("default", body); err != nil || !p.Completed {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWhatIsRefusedNamesItsField(t *testing.T) {
	twice := func(more string) []byte { return []byte(strings.TrimSuffix(valid, "}") + "," + more + "}") }
	deep := strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)
	for _, c := range []struct {
		field string // "" for the body as a whole
		body  []byte
	}{
		{"", nil},
		{"", []byte("<xml/>")},
		{"", []byte(valid + "x")},
		{"", []byte(valid + valid)},
		{"", []byte(`{"event":"\xff"}`)},
		{"", []byte("{\"event\":\"a\xffb\"}")},
		{"", []byte(`{'event':1}`)},
		{"", with(t, "new", deep)},
		{"", []byte("\xef\xbb\xbf" + valid)},
		{"", with(t, "eventId", `"\ud800"`)},
		{"", with(t, "eventId", `"\ud83d\u0041"`)},
		{"", with(t, "eventId", `"\udc00\ud800"`)},
		{"(body)", []byte("null")},
		{"(body)", []byte("[]")},
		{"(body)", []byte(`"x"`)},
		{"event", with(t, "event", "")},
		{"event", with(t, "event", "1")},
		{"event", with(t, "event", `""`)},
		{"event", twice(`"Event":"x"`)},
		{"recordingId", twice(`"recordingId":"rec-2"`)},
		{"recordingId", twice(`"recordingID":"rec-2"`)},
		{"recordingId", twice(`"recording\u0049d":"rec-2"`)},
		{"recordingId", with(t, "recordingId", "")},
		{"recordingId", with(t, "recordingId", "null")},
		{"recordingId", with(t, "recordingId", `"../../etc/passwd"`)},
		{"recordingId", with(t, "recordingId", `"a..b"`)},
		{"recordingId", with(t, "recordingId", `".a"`)},
		{"recordingId", with(t, "recordingId", `"`+strings.Repeat("a", 129)+`"`)},
		{"recordingId", with(t, "recordingId", `"a\n"`)},
		{"mediaUrl", twice(`"mediaURL":"https://evil.example"`)},
		{"mediaUrl", twice(`"MEDIAURL":"https://evil.example"`)},
		{"mediaUrl", with(t, "mediaUrl", "")},
		{"mediaUrl", with(t, "mediaUrl", `"file:///etc/passwd"`)},
		{"mediaUrl", with(t, "mediaUrl", `"//cdn/x"`)},
		{"mediaUrl", with(t, "mediaUrl", `"https://"`)},
		{"mediaUrl", with(t, "mediaUrl", `"https://e/`+strings.Repeat("a", 4096)+`"`)},
		{"mediaUrl", with(t, "mediaUrl", `"https://e/%zz"`)},
		{"mediaFormat", with(t, "mediaFormat", `"exe"`)},
		{"mediaFormat", with(t, "mediaFormat", `"MP4"`)},
		{"mediaFormat", with(t, "mediaFormat", "")},
		{"duration", with(t, "duration", "")},
		{"duration", with(t, "duration", "-1")},
		{"duration", with(t, "duration", `"1"`)},
		{"duration", with(t, "duration", "1e999")},
		{"participants", with(t, "participants", "")},
		{"participants", with(t, "participants", "{}")},
		{"participants", with(t, "participants", "[1]")},
		{"participants.0", with(t, "participants", "[null]")},
		{"participants.0.id", with(t, "participants", `[{"id":7}]`)},
		{"participants.1.name", with(t, "participants", `[{},{"Name":"Ada"}]`)},
		{"participants.id", with(t, "participants", `[{"id":"a","id":"b"}]`)},
		{"size", with(t, "size", "-1")},
		{"size", with(t, "size", "1.5")},
		{"size", with(t, "size", `"1"`)},
		{"size", with(t, "size", "9223372036854775808")},
		{"sha256", with(t, "sha256", `"abc"`)},
		{"sha256", with(t, "sha256", "1")},
		{"tags", with(t, "tags", `["a"]`)},
		{"tags", with(t, "tags", `{"a":1}`)},
		{"tags", with(t, "tags", `{"a":null}`)},
		{"tags.a", with(t, "tags", `{"a":"1","a":"2"}`)},
		{"new.a", twice(`"new":[{"a":1,"a":1}]`)},
		{"completedAt", with(t, "completedAt", `"yesterday"`)},
		{"completedAt", with(t, "completedAt", "1")},
	} {
		p, err := Parse("default", c.body)
		if err == nil {
			t.Errorf("%s: taken: %.300s as %+v", c.field, c.body, p)
			continue
		}
		var f *fieldError
		field := ""
		if errors.As(err, &f) {
			field = f.field
		}
		if field != c.field {
			t.Errorf("%.300s: got field %q (%v), want %q", c.body, field, err, c.field)
		}
		for _, value := range []string{"evil", "passwd", "rec-2", "Ada", "yesterday"} {
			if strings.Contains(err.Error(), value) {
				t.Errorf("%s: the value is in the error: %v", c.field, err)
			}
		}
	}
}

func TestOtherEventsNeedNothingButTheirName(t *testing.T) {
	for body, id := range map[string]string{
		`{"event":"RECORDING_STARTED"}`:                                     "",
		`{"event":"recording_completed"}`:                                   "",
		`{"event":"RECORDING_STARTED","recordingId":"rec-1","duration":-1}`: "rec-1",
		`{"event":"RECORDING_STARTED","recordingId":"../x"}`:                "",
		`{"event":"RECORDING_STARTED","recordingId":7}`:                     "",
	} {
		if p, err := Parse("default", []byte(body)); err != nil || p.Completed || p.RecordingID != id {
			t.Errorf("%s: got %+v, %v", body, p, err)
		}
	}
}

func TestWithoutAnEventIDTheBodyStandsForIt(t *testing.T) {
	id := func(body []byte) string {
		p, err := Parse("default", body)
		if err != nil {
			t.Fatal(err)
		}
		return p.EventID
	}
	a, b := with(t, "eventId", ""), with(t, "eventId", "", "duration", "1")
	if id(a) != id(bytes.Clone(a)) {
		t.Error("the same bytes sent again have another ID")
	}
	if id(a) == id(b) {
		t.Error("another body has the same ID: it would be swallowed as a duplicate")
	}
}

func TestWhatIsKeptOfParticipants(t *testing.T) {
	list := []event.Participant{{"id": "p1", "role": "agent", "name": "Ada", "phone": "+49"}, {"name": "Bob"}}
	for policy, want := range map[Participants]string{
		ParticipantsFull: `[{"id":"p1","name":"Ada","phone":"+49","role":"agent"},{"name":"Bob"}]`,
		ParticipantsIDs:  `[{"id":"p1","role":"agent"},{}]`,
		ParticipantsNone: `[]`,
	} {
		got, err := json.Marshal(policy.Keep(list))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, want %s", policy, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(valid))
	for _, s := range []string{`{"event":"RECORDING_STARTED"}`, `{"a":{"b":[{"c":1,"c":2}]}}`, `{"event":"\ud83d\ude00"}`, `{"event":"\\\ud800"}`, "[[[[[[", `{"Event":""}`} {
		f.Add([]byte(s))
	}
	if b, err := os.ReadFile("../../ingress/testdata/webhook.json"); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := Parse("default", body)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("the error is no single line: %q", err)
			}
			return
		}
		// What is taken means the same to every other reader: its keys are unique, and its event is a valid one.
		if !json.Valid(body) {
			t.Errorf("taken, but not JSON: %q", body)
		}
		if !p.Completed {
			return
		}
		e := event.New(p.Data, p.EventID, p.Data.ReceivedAt)
		b, err := e.Encode()
		if err != nil {
			t.Fatalf("taken, but cannot be encoded: %v", err)
		}
		if _, err := event.Parse(b); err != nil {
			t.Errorf("taken, but the workers refuse it: %v\n%s", err, b)
		}
		var loose struct {
			RecordingID string `json:"recordingId"`
			MediaURL    string `json:"mediaUrl"`
		}
		if err := json.Unmarshal(body, &loose); err != nil || loose.RecordingID != p.Data.RecordingID || loose.MediaURL != p.Data.Media.URL {
			t.Errorf("a reader that ignores case sees %+v, ingress %q", loose, p.Data.RecordingID)
		}
	})
}
