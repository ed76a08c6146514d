package event_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
)

// What is read back of a store may be anybody's: it is a sidecar whose tags both clouds take, or it is refused.
func FuzzParseSidecar(f *testing.F) {
	good, err := event.NewSidecar(sample(), digest.Of([]byte("RIFF....WAVEdata"))).Encode()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(good), `{}`, `null`, `[]`, `{"recordingId":"a","objectKey":"b","sha256":"c"}`, `{"recordingId":"a","objectKey":"b","sha256":"c","tags":{"aws:x":"y","recording-id":"z"}}`,
		`{"recordingId":"a","objectKey":"b","sha256":"c","participants":[{"id":1e400}],"size":-1}`, `{"recordingId":"a","recordingId":"b","objectKey":"b","sha256":"c","durationSeconds":"NaN"}`,
		`{"recordingId":"a","objectKey":"b","sha256":"c","tags":{"ä":"1","ö":"2","` + strings.Repeat("k", 300) + `":"` + strings.Repeat("v", 300) + `"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := event.ParseSidecar(in)
		if err != nil {
			return
		}
		for k, v := range s.ObjectTags() {
			if k == "recording-id" || k == "source" {
				continue // as they stand in the file: of ours they were checked when it was made
			}
			if k == "" || len(k) > 128 || len(v) > 256 || strings.ContainsFunc(k+v, func(r rune) bool { return r > '~' || r < ' ' }) {
				t.Fatalf("tag %q=%q is not for both clouds", k, v)
			}
		}
		out, err := s.Encode()
		if err != nil {
			t.Fatalf("a sidecar that was read cannot be written: %v", err)
		}
		back, err := event.ParseSidecar(out)
		if err != nil {
			t.Fatalf("a sidecar is none any more after its JSON: %v\n%s", err, out)
		}
		again, err := back.Encode()
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("its bytes are not the same for ever: %v\n%s\n%s", err, out, again)
		}
	})
}

func FuzzSplitKey(f *testing.F) {
	for _, seed := range []string{"rec-1", "zoom/rec-1", "default/rec-1", "/", "a/b/c", "..", "recording-complete/x", "a/", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		source, id, err := event.SplitKey(key)
		if err != nil {
			return
		}
		if back := event.IdempotencyKey(source, id); back != key && key != event.DefaultSource+"/"+id {
			t.Fatalf("%q is %q of %q, which is %q", key, id, source, back)
		}
		for _, part := range strings.Split(event.ObjectKey(key, "wav"), "/") {
			if part == "" || part == "." || part == ".." {
				t.Fatalf("%q leads elsewhere", key)
			}
		}
	})
}
