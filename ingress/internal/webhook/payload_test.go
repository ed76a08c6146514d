package webhook

import (
	"encoding/json"
	"testing"
)

// valid is a payload with every field of the default profile.
const valid = `{"event":"RECORDING_COMPLETED","eventId":"ev-1","recordingId":"rec-1","mediaFormat":"mp4","duration":183.4,` +
	`"participants":[{"id":"p1","role":"agent","name":"Ada","since":12345678901234567890}],"mediaUrl":"https://cdn.example.com/m/1?signature=abc",` +
	`"size":123,"sha256":"9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08","tags":{"queue":"billing"},"completedAt":"2026-11-23T10:00:00Z"}`

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
