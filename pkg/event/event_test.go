package event_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
)

// at is a moment for events made by tests.
var at = time.Date(2026, 11, 23, 10, 0, 0, 123456789, time.UTC)

// sample is a complete event of a named source.
func sample() event.Event {
	size := int64(123)
	done := at.Add(-time.Minute)
	return event.New(event.Data{
		RecordingID: "rec-1", Source: "emea", DurationSeconds: 183.4, CompletedAt: &done,
		Media:        event.Media{URL: "https://cdn.example.com/m/1?sig=s3cret", Format: "mp4", Size: &size, SHA256: strings.Repeat("a", 64)},
		Participants: []event.Participant{{"id": "p1", "role": "agent", "name": "Jürgen Ωmega", "extension": json.Number("12")}},
		Tags:         map[string]string{"queue": "billing"},
	}, "ev-1", at)
}

func TestNewFillsInWhatFollows(t *testing.T) {
	e := sample()
	for _, f := range []struct{ name, got, want string }{
		{"idempotencyKey", e.Data.IdempotencyKey, "emea/rec-1"},
		{"objectKey", e.Data.ObjectKey, "recordings/emea/rec-1.mp4"},
		{"contentType", e.Data.Media.ContentType, "audio/mp4"},
		{"source", e.Source, "/twinreel/sources/emea"},
		{"subject", e.Subject, "rec-1"},
		{"type", e.Type, "com.twinreel.recording.completed.v1"},
	} {
		if f.got != f.want {
			t.Errorf("%s = %q, want %q", f.name, f.got, f.want)
		}
	}
}

func TestAnEventSurvivesItsJSON(t *testing.T) {
	e := sample()
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := event.Parse(b)
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	again, err := back.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(b) {
		t.Errorf("encoded again:\n%s\nwant\n%s", again, b)
	}
}

func TestUnknownFieldsInDataAreKept(t *testing.T) {
	b, _ := sample().Encode()
	b = []byte(strings.Replace(string(b), `"data":{`, `"data":{"legalHold":{"case":"c-1"},`, 1))
	e, err := event.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	e.Type, e.Data.Reason = event.TypeRedrive, "replay"
	out, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), `"legalHold":{"case":"c-1"}`) {
		t.Errorf("the unknown field is gone: %s", out)
	}
	if _, err := event.Parse(out); err != nil {
		t.Errorf("the redrive cannot be read: %v", err)
	}
}

func TestNumbersOfParticipantsStayAsTheyWere(t *testing.T) {
	for _, n := range []string{"1e400", "491711234567890123", "1.0", "123456789012345678901234567890", "-0"} {
		e := sample()
		e.Data.Participants = []event.Participant{{"id": "p1", "x": json.Number(n), "deep": map[string]any{"y": []any{json.Number(n)}}}}
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := event.Parse(b)
		if err != nil {
			t.Errorf("%s: %v", n, err)
			continue
		}
		side, err := event.NewSidecar(back, digest.Of(nil)).Encode()
		if err != nil || !strings.Contains(string(side), `"x":`+n+`}`) || !strings.Contains(string(side), `"y":[`+n+`]`) {
			t.Errorf("%s became %s %v", n, side, err)
		}
	}
}

func TestParseRefusesWhatIsNoEvent(t *testing.T) {
	valid, _ := sample().Encode()
	change := func(from, to string) string { return strings.Replace(string(valid), from, to, 1) }
	cases := []struct {
		name, in string
		want     error
	}{
		{"empty", "", event.ErrInvalid},
		{"not JSON", "<xml/>", event.ErrInvalid},
		{"another event", change("com.twinreel.recording.completed.v1", "org.example.other"), event.ErrInvalid},
		{"a later version", change("completed.v1", "completed.v2"), event.ErrVersion},
		{"another specversion", change(`"specversion":"1.0"`, `"specversion":"0.3"`), event.ErrInvalid},
		{"a path as recording ID", change(`"recordingId":"rec-1"`, `"recordingId":"../rec-1"`), event.ErrInvalid},
		{"an object key of another recording", change("recordings/emea/rec-1.mp4", "recordings/emea/rec-2.mp4"), event.ErrInvalid},
		{"an unknown format", change(`"format":"mp4"`, `"format":"exe"`), event.ErrInvalid},
		{"a file URL", change("https://cdn.example.com", "file://cdn.example.com"), event.ErrInvalid},
		{"no URL outside a redrive", change("https://cdn.example.com/m/1?sig=s3cret", ""), event.ErrInvalid},
		{"a negative size", change(`"size":123`, `"size":-1`), event.ErrInvalid},
		{"text as size", change(`"size":123`, `"size":"123"`), event.ErrInvalid},
		{"a short sha256", change(strings.Repeat("a", 64), "aa"), event.ErrInvalid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := event.Parse([]byte(c.in))
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error shows the signed URL: %v", err)
			}
		})
	}
}

func TestARedriveMayHaveNoURL(t *testing.T) {
	e := sample()
	e.Type, e.Data.Media.URL = event.TypeRedrive, ""
	b, _ := e.Encode()
	if _, err := event.Parse(b); err != nil {
		t.Fatal(err)
	}
}

func TestRecordingIDs(t *testing.T) {
	for id, ok := range map[string]bool{
		"a": true, "rec-8a7f3b2c.1_X": true, strings.Repeat("a", 128): true,
		"": false, "-a": false, ".a": false, "a..b": false, "a/b": false, "a b": false, "ä": false, strings.Repeat("a", 129): false, "a\n": false,
	} {
		if err := event.CheckRecordingID(id); (err == nil) != ok {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestSplitKeyUndoesIdempotencyKey(t *testing.T) {
	for _, c := range []struct{ source, id string }{{"default", "rec-1"}, {"emea", "rec-1"}} {
		source, id, err := event.SplitKey(event.IdempotencyKey(c.source, c.id))
		if err != nil || source != c.source || id != c.id {
			t.Errorf("got %q %q %v, want %q %q", source, id, err, c.source, c.id)
		}
	}
	for _, bad := range []string{"", "a/b/c", "UPPER/rec", "recording-complete/rec", "/rec"} {
		if _, _, err := event.SplitKey(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestMsgIDTellsEventsApart(t *testing.T) {
	seen := map[string][3]string{}
	for _, c := range [][3]string{{"a", "b", "c"}, {"ab", "", "c"}, {"a", "bc", ""}, {"a", "b", "c "}, {"", "ab", "c"}, {"1:a", "b", "c"}} {
		id := event.MsgID(c[0], c[1], c[2])
		if other, dup := seen[id]; dup {
			t.Errorf("%q and %q have the same ID", c, other)
		}
		if id != event.MsgID(c[0], c[1], c[2]) {
			t.Errorf("%q has two IDs", c)
		}
		seen[id] = c
	}
}

func FuzzParse(f *testing.F) {
	b, _ := sample().Encode()
	f.Add(b)
	f.Add([]byte(`{"specversion":"1.0","type":"com.twinreel.recording.redrive.v1","data":{"tags":null,"participants":[{}]}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := event.Parse(in)
		if err != nil {
			return
		}
		out, err := e.Encode()
		if err != nil {
			t.Fatalf("a valid event cannot be encoded: %v", err)
		}
		if _, err := event.Parse(out); err != nil {
			t.Fatalf("an event is not valid any more after its JSON: %v\n%s", err, out)
		}
	})
}
