package event_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
)

func TestTheSidecarExplainsTheRecordingAlone(t *testing.T) {
	d := digest.Of([]byte("media"))
	b, err := event.NewSidecar(sample(), d).Encode()
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"recordingId", "source", "idempotencyKey", "objectKey", "format", "contentType", "durationSeconds", "participants",
		"tags", "completedAt", "receivedAt", "size", "sha256", "crc64nvme",
	} {
		if _, ok := m[name]; !ok {
			t.Errorf("%s is missing", name)
		}
		delete(m, name)
	}
	if len(m) > 0 {
		t.Errorf("and too much: %v", m)
	}
	if strings.Contains(string(b), "s3cret") {
		t.Error("the media URL is in it")
	}
}

func TestTheSidecarHasSortedKeysAtEveryDepth(t *testing.T) {
	b, err := event.NewSidecar(sample(), digest.Of(nil)).Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `"participants":[{"extension":12,"id":"p1","name":"Jürgen Ωmega","role":"agent"}]`
	if !strings.Contains(string(b), want) {
		t.Errorf("want %s in %s", want, b)
	}
	var tree any
	if err := json.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	sorted, _ := json.Marshal(tree)
	if !bytes.Equal(sorted, b) {
		t.Errorf("not sorted:\n%s\n%s", b, sorted)
	}
}

func TestASidecarIsReadBack(t *testing.T) {
	d := digest.Of([]byte("media"))
	b, _ := event.NewSidecar(sample(), d).Encode()
	s, err := event.ParseSidecar(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Digest()
	if err != nil || got != d {
		t.Errorf("digest %v %v, want %v", got, err, d)
	}
	for _, bad := range []string{"", "{}", "[]", "not json", `{"recordingId":1}`} {
		if _, err := event.ParseSidecar([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a sidecar", bad)
		}
	}
}

func TestObjectTagsFitBothClouds(t *testing.T) {
	base := func(more map[string]string) map[string]string {
		out := map[string]string{"recording-id": "rec-1", "source": "emea"}
		maps.Copy(out, more)
		return out
	}
	many, first8 := map[string]string{}, map[string]string{}
	for i := range 12 {
		k := fmt.Sprintf("k%02d", i)
		many[k] = "v"
		if i < 8 {
			first8[k] = "v"
		}
	}
	cases := []struct {
		name     string
		in, want map[string]string
	}{
		{"none", nil, base(nil)},
		{"plain", map[string]string{"queue": "billing +-./:=_1"}, base(map[string]string{"queue": "billing +-./:=_1"})},
		{"refused characters", map[string]string{"who@": "é@x,y"}, base(map[string]string{"who_": "__x_y"})},
		{"reserved names", map[string]string{"recording-id": "x", "source": "x", "aws:a": "x", "AWS:b": "x"}, base(nil)},
		{"the first of equals wins", map[string]string{"a@": "2", "a#": "1"}, base(map[string]string{"a_": "1"})},
		{"an empty name", map[string]string{"": "x"}, base(nil)},
		{"the first eight", many, base(first8)},
		{"too long", map[string]string{strings.Repeat("k", 200): strings.Repeat("v", 300)}, base(map[string]string{strings.Repeat("k", 128): strings.Repeat("v", 256)})},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := sample()
			e.Data.Tags = c.in
			if got := event.NewSidecar(e, digest.Digest{}).ObjectTags(); !maps.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestAnAuditEventHoldsNoPersonAndNoLink(t *testing.T) {
	size := int64(5)
	b, err := event.Audit{
		Kind: event.AuditStored, Tier: "primary", MsgID: event.DeliveryID(event.AuditStored, "primary", "RECORDINGS", 7), Time: at,
		Data: event.AuditData{Tier: "primary", IdempotencyKey: "emea/rec-1", Size: &size},
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		ID, Type string
		Data     map[string]any
	}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if m.ID != "stored/primary/RECORDINGS/7" || m.Type != "com.twinreel.audit.stored.v1" || len(m.Data) != 3 {
		t.Errorf("got %s", b)
	}
}
