package outside_test

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twinreel/twinreel/deploy/local/internal/outside"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

func TestASoundWorldHasNoFindings(t *testing.T) {
	w := sound()
	report := w.compare(t)
	if !report.Sound() {
		t.Errorf("findings:\n%s", report)
	}
	want := outside.Copies{Recordings: 1, Bytes: int64(len(w.media))}
	if report.Expected != 1 || report.Copies["primary"] != want || report.Copies["backup"] != want {
		t.Errorf("report %+v", report)
	}
}

func TestWhatIsWrongIsFound(t *testing.T) {
	other := []byte("RIFF, but other bytes altogether")
	cases := []struct {
		name  string
		spoil func(*testing.T, *world)
		// want is the kind, store and key of each finding, and a part of its detail.
		want string
	}{
		{"media missing", func(_ *testing.T, w *world) { delete(w.primary.objects, mediaKey) }, "missing primary branch/call-1: no media"},
		{"sidecar missing", func(_ *testing.T, w *world) { delete(w.backup.objects, sideKey) }, "missing backup " + sideKey},
		{"both missing", func(_ *testing.T, w *world) { clear(w.backup.objects) }, "missing backup branch/call-1: no media"},
		{"other bytes", func(t *testing.T, w *world) {
			w.backup.change(t, mediaKey, func(o *thing) { o.body = other; o.CRC64 = crc(other) })
		}, "different backup " + mediaKey + ": SHA-256"},
		{"cut short", func(t *testing.T, w *world) {
			w.primary.change(t, mediaKey, func(o *thing) { o.body = o.body[:len(o.body)-1] })
		}, "different primary " + mediaKey + ": 14999 bytes, want 15000"},
		{"the store's checksum", func(t *testing.T, w *world) {
			w.backup.change(t, mediaKey, func(o *thing) { o.CRC64 = "" })
		}, "different backup " + mediaKey + ": the store keeps the checksum \"\""},
		{"media's content type", func(t *testing.T, w *world) {
			w.primary.change(t, mediaKey, func(o *thing) { o.ContentType = "application/octet-stream" })
		}, "metadata primary " + mediaKey + ": content type"},
		{"sidecar's content type", func(t *testing.T, w *world) {
			w.primary.change(t, sideKey, func(o *thing) { o.ContentType = "text/plain" })
		}, "metadata primary " + sideKey + ": content type"},
		{"a tag missing", func(t *testing.T, w *world) {
			w.primary.change(t, mediaKey, func(o *thing) { delete(o.Tags, "queue") })
		}, `tags primary ` + mediaKey + `: "queue" is "", want "billing"`},
		{"a tag too many", func(t *testing.T, w *world) {
			w.primary.change(t, mediaKey, func(o *thing) { o.Tags["more"] = "x" })
		}, `tags primary ` + mediaKey + `: "more" is not wanted`},
		{"sidecars that are not equal", func(t *testing.T, w *world) {
			w.backup.change(t, sideKey, func(o *thing) { o.body = bytes.ReplaceAll(o.body, []byte(`,"size"`), []byte(`, "size"`)) })
		}, "unequal both " + sideKey},
		{"a stray object", func(_ *testing.T, w *world) {
			w.primary.objects["recordings/forged.wav"] = thing{body: other}
		}, "unwanted primary recordings/forged.wav: 32 bytes"},
		{"a second version", func(_ *testing.T, w *world) {
			w.primary.extra = []outside.Entry{{Key: mediaKey, Version: "v0"}}
		}, "versions primary " + mediaKey},
		{"a delete marker", func(_ *testing.T, w *world) {
			w.primary.extra = []outside.Entry{{Key: mediaKey, Version: "v2", What: outside.DeleteMarker}}
		}, "unwanted primary " + mediaKey + ": delete marker"},
		{"an upload left open", func(_ *testing.T, w *world) {
			w.primary.extra = []outside.Entry{{Key: mediaKey, Version: "upload-id-0", What: outside.Upload}}
		}, "open_upload primary " + mediaKey},
		{"two keys", func(_ *testing.T, w *world) {
			mp3 := w.truth.Said[0]
			mp3.MediaFormat = "mp3"
			w.truth.Said = append(w.truth.Said, mp3)
			w.backup.objects["recordings/branch/call-1.mp3"] = w.backup.objects[mediaKey]
		}, "two_keys backup branch/call-1"},
		{"a recording that must not be there", func(_ *testing.T, w *world) {
			w.truth.Must, w.truth.May = false, false
			clear(w.backup.objects)
			delete(w.primary.objects, sideKey)
		}, "unwanted primary " + mediaKey},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := sound()
			c.spoil(t, w)
			report := w.compare(t)
			if !strings.Contains(report.String(), c.want) {
				t.Errorf("findings:\n%s\nwant %q among them", report, c.want)
			}
		})
	}
}

func TestEveryFieldOfASidecarIsHeldAgainstTheTruth(t *testing.T) {
	for field, wrong := range map[string]any{
		"recordingId": "call-2", "source": "default", "idempotencyKey": "call-1", "objectKey": "recordings/call-1.wav", "format": "mp3",
		"contentType": "audio/mpeg", "durationSeconds": 12, "participants": []any{}, "tags": map[string]string{"queue": "sales"},
		"completedAt": "2026-11-23T10:00:01Z", "receivedAt": "2026-11-23T10:01:03Z", "size": 1, "sha256": "00", "crc64nvme": "AAAAAAAAAAA=",
		"more": "than the contract has",
	} {
		t.Run(field, func(t *testing.T) {
			w := sound()
			for _, s := range []*shelf{w.primary, w.backup} {
				s.change(t, sideKey, func(o *thing) { o.body = edited(t, o.body, field, wrong) })
			}
			report := w.compare(t)
			if !strings.Contains(report.String(), field) || report.Copies["primary"].Recordings != 0 {
				t.Errorf("findings:\n%s\nwant one about %s, and no sound copy", report, field)
			}
		})
		if field == "more" {
			continue
		}
		t.Run(field+" missing", func(t *testing.T) {
			w := sound()
			w.primary.change(t, sideKey, func(o *thing) { o.body = edited(t, o.body, field, nil) })
			if report := w.compare(t); !strings.Contains(report.String(), "metadata primary "+sideKey) {
				t.Errorf("findings:\n%s", report)
			}
		})
	}
}

func TestASidecarWithUnsortedKeysIsFound(t *testing.T) {
	w := sound()
	w.primary.change(t, sideKey, func(o *thing) {
		body := bytes.Replace(o.body, []byte(`"source":"branch",`), nil, 1)
		o.body = append([]byte(`{"source":"branch",`), body[1:]...)
	})
	if report := w.compare(t); !strings.Contains(report.String(), "keys are not sorted") {
		t.Errorf("findings:\n%s", report)
	}
}

func TestAnyOneOfTheAcceptedEventsMayBeWhatIsStored(t *testing.T) {
	w := sound()
	later := w.truth.Said[0]
	later.Participants = []platform.Participant{{ID: "p2", Role: "customer"}}
	w.truth.Said = []platform.Event{later, w.truth.Said[0]}
	if report := w.compare(t); !report.Sound() {
		t.Errorf("findings:\n%s", report)
	}
}

func TestARecordingThatMayBeAbsentIsJudgedOnlyWhereItIs(t *testing.T) {
	w := sound()
	w.truth.Must = false
	clear(w.backup.objects)
	if report := w.compare(t); !report.Sound() {
		t.Errorf("findings:\n%s", report)
	}
	w.primary.change(t, mediaKey, func(o *thing) { o.CRC64 = "" })
	if report := w.compare(t); report.Sound() {
		t.Error("a wrong copy was not found")
	}
}

func TestTagsFollowTheContract(t *testing.T) {
	w := sound()
	w.truth.Said[0].Tags = map[string]string{
		"a": strings.Repeat("é", 300), "aws:x": "1", "b": "1", "b@": "2", "bé": "3", "c": "c", "d": "d", "e": "e", "f": "f", "g": "g", "h": "h",
		"source": "mine", strings.Repeat("k", 200): "too late",
	}
	for _, s := range []*shelf{w.primary, w.backup} {
		s.change(t, sideKey, func(o *thing) { o.body = edited(t, o.body, "tags", w.truth.Said[0].Tags) })
		s.change(t, mediaKey, func(o *thing) {
			o.Tags = map[string]string{
				"recording-id": "call-1", "source": "branch", "a": strings.Repeat("_", 256), "b": "1", "b_": "2", "c": "c", "d": "d", "e": "e",
				"f": "f", "g": "g",
			}
		})
	}
	if report := w.compare(t); !report.Sound() {
		t.Errorf("findings:\n%s", report)
	}
}

func TestAStoreThatCannotBeReadIsAnErrorNotAFinding(t *testing.T) {
	broken := errors.New("connection refused")
	for name, spoil := range map[string]func(*shelf){
		"listing": func(s *shelf) { s.listErr = broken },
		"object":  func(s *shelf) { s.openErr = broken },
	} {
		t.Run(name, func(t *testing.T) {
			w := sound()
			spoil(w.backup)
			_, err := outside.Reader{Stores: []outside.Store{w.primary, w.backup}}.Compare(t.Context(), []outside.Truth{w.truth})
			if !errors.Is(err, broken) {
				t.Errorf("error %v, want %v", err, broken)
			}
		})
	}
}

func TestReadTellsOfEveryByte(t *testing.T) {
	w := sound()
	var read atomic.Int64
	r := outside.Reader{Stores: []outside.Store{w.primary, w.backup}, Read: func(n int64) { read.Add(n) }}
	if _, err := r.Compare(t.Context(), []outside.Truth{w.truth}); err != nil {
		t.Fatal(err)
	}
	if want := int64(2 * len(w.media)); read.Load() != want {
		t.Errorf("told of %d bytes, want %d", read.Load(), want)
	}
}
