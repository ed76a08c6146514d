package leaf_test

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/reconciler/internal/audit/leaf"
)

func TestEveryBodyComesBackByteForByteAndStandsInOneLine(t *testing.T) {
	for name, body := range map[string]string{
		"an event":          `{"specversion":"1.0","data":{"idempotencyKey":"rec-1"}}`,
		"JSON with blanks":  "{ \"a\": 1 }\n",
		"markup":            `{"a":"<b>&\u2028 "}`,
		"a number":          "1e400",
		"text":              "no JSON\n\nat all\x00",
		"nothing":           "",
		"no text":           "\xff\xfe{}",
		"JSON, but no text": "{\"a\":\"\xff\"}",
		"null":              "null",
	} {
		l := leaf.Leaf{Sequence: 7, Subject: "audit.stored.primary", Stored: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), MsgID: "stored/primary/RECORDINGS/1", Body: []byte(body)}
		line := l.Line()
		if _, err := tlog.FormatRecord(6, line); err != nil || bytes.Count(line, []byte("\n")) != 1 {
			t.Errorf("%s: %q is no record: %v", name, line, err)
		}
		back, err := leaf.Parse(line)
		if err != nil || string(back.Body) != body || back.Subject != l.Subject || !back.Stored.Equal(l.Stored) || back.MsgID != l.MsgID || back.Sequence != 7 {
			t.Errorf("%s: %q came back as %+v, %v", name, line, back, err)
		}
	}
}

func TestAGapSaysOnlyWhichMessageIsLost(t *testing.T) {
	line := leaf.Gap(9).Line()
	l, err := leaf.Parse(line)
	if string(line) != `{"sequence":9,"gap":true}`+"\n" || err != nil || !l.Gap || l.Kind() != "" || l.IsMark() {
		t.Errorf("%q, %+v, %v", line, l, err)
	}
}

func TestKindAndTierAreTheSubjects(t *testing.T) {
	for subject, want := range map[string]struct {
		kind event.AuditKind
		tier string
		mark bool
	}{
		"audit.mark.all":       {event.AuditMark, "all", true},
		"audit.mark.primary":   {event.AuditMark, "primary", false},
		"audit.stored.backup":  {event.AuditStored, "backup", false},
		"audit.stored.a.b":     {"", "", false},
		"recordings.dlq.audit": {"", "", false},
	} {
		l := leaf.Leaf{Subject: subject}
		if l.Kind() != want.kind || l.Tier() != want.tier || l.IsMark() != want.mark {
			t.Errorf("%s: %q %q %v", subject, l.Kind(), l.Tier(), l.IsMark())
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(leaf.Gap(1).Line())
	f.Add(leaf.Leaf{Sequence: 1, Subject: "audit.run.all", Stored: time.Unix(1, 2), Body: []byte(`{"a":1}`)}.Line())
	f.Add(leaf.Leaf{Sequence: 2, Subject: "x", Stored: time.Unix(1, 2), Body: []byte("\xff")}.Line())
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := leaf.Parse(b)
		if err != nil {
			return
		}
		if !bytes.Equal(l.Line(), b) {
			t.Errorf("%q was taken for %q", b, l.Line())
		}
		l.Data()
	})
}

func FuzzLine(f *testing.F) {
	f.Add("audit.stored.primary", "id", []byte("{}"), int64(5))
	f.Fuzz(func(t *testing.T, subject, id string, body []byte, at int64) {
		l := leaf.Leaf{Sequence: 3, Subject: subject, MsgID: id, Stored: time.Unix(0, at).UTC(), Body: body}
		line := l.Line()
		if _, err := tlog.FormatRecord(2, line); err != nil {
			t.Fatalf("%q is no record: %v", line, err)
		}
		back, err := leaf.Parse(line)
		if err != nil || !bytes.Equal(back.Body, body) || !back.Stored.Equal(l.Stored) {
			t.Errorf("%q came back as %+v, %v", line, back, err)
		}
	})
}
