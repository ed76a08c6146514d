package queue

import (
	"bytes"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/twinreel/twinreel/pkg/tier"
)

// A letter that can be read says which tier and which message it is of, and has its body as it is.
func FuzzParseLetter(f *testing.F) {
	f.Add("recordings.dlq.primary", "source_gone", "it answered 404", "3", "recordings.completed.both", "17", "2026-11-23T10:00:00Z", []byte("{}"))
	f.Add("recordings.dlq.backup", "", "", "-1", "", "18446744073709551615", "2026-11-23T10:00:00.000000001+14:00", []byte(nil))
	f.Add("recordings.dlq.", "x", "\x00", "1e3", "y", "0x10", "yesterday", []byte("\xff"))
	f.Fuzz(func(t *testing.T, subject, reason, text, tries, origin, seq, at string, body []byte) {
		h := nats.Header{}
		for name, value := range map[string]string{
			headerReason: reason, headerError: text, headerTries: tries, headerSubject: origin, headerSeq: seq, headerAt: at, headerTrace: text,
		} {
			h.Set(name, value)
		}
		l, err := ParseLetter(subject, 1, h, body)
		if err != nil {
			return
		}
		if LetterSubject(l.Tier) != subject || !bytes.Equal(l.Body, body) || l.Reason != Reason(reason) || l.DeadAt.IsZero() && at == "" {
			t.Fatalf("%q %q: %+v", subject, at, l)
		}
	})
}

// Whatever somebody writes on the board, a tier's weight stays a share, and only a word of an operator pauses it.
func FuzzBoard(f *testing.F) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, seed := range []string{
		`{"state":"healthy","weight":1}`, `{"state":"healthy","weight":-7}`, `{"state":"healthy","weight":1e308}`, `{"state":"parked"}`, `{"weight":"1"}`, `null`, `[]`, `{`, ``,
	} {
		f.Add("primary.worker-1", []byte(seed))
		f.Add("primary.paused", []byte(seed))
	}
	f.Add("primary", []byte(`{}`))
	f.Add("other.worker-1", []byte(`{}`))
	f.Add("primary.paused.x", []byte(`{}`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		n := newNotes().next([]Value{{Key: key, Data: value, Revision: 1, Stored: now}}, now)
		for name, s := range n.standings(now) {
			if w := s.Weight(); w < 0 || w > 1 || w != w {
				t.Fatalf("%q %q: weight %v of %s", key, value, w, name)
			}
			if s.Pause != nil && key != string(name)+"."+pausedKey {
				t.Fatalf("%q pauses %s", key, name)
			}
		}
		if got := n.standings(now.Add(volatileAge)); len(got[tier.Primary].Views)+len(got[tier.Backup].Views) > 0 {
			t.Fatalf("%q %q does not lapse", key, value)
		}
	})
}
