package digest_test

import (
	"bytes"
	"testing"

	"github.com/twinreel/twinreel/pkg/digest"
)

// An entry that is read is the one that was written, the sidecar to the byte.
func FuzzParseEntry(f *testing.F) {
	good, err := digest.Entry{Digest: digest.Of([]byte("media")), ObjectKey: "recordings/rec-1.wav", Sidecar: []byte(`{"a":"<&>"}`)}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(good), `{"forgotten":true}`, `{"forgotten":true,"sha256":1}`, `{}`, `null`, `{"sha256":"x","objectKey":"y","crc64nvme":"AAAAAAAAAAA="}`,
		`{"sha256":"x","objectKey":"y","crc64nvme":"AAAA"}`, `{"sha256":"x","objectKey":"y","crc64nvme":"AAAAAAAAAAA=","size":-1,"sidecar":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := digest.ParseEntry(in)
		if err != nil {
			return
		}
		out, err := e.Encode()
		if err != nil {
			t.Fatalf("an entry that was read cannot be written: %v", err)
		}
		back, err := digest.ParseEntry(out)
		if err != nil || back.Digest != e.Digest || back.ObjectKey != e.ObjectKey || back.Forgotten != e.Forgotten || !bytes.Equal(back.Sidecar, e.Sidecar) {
			t.Fatalf("%+v is read back as %+v, %v", e, back, err)
		}
	})
}

func FuzzDecodeCRC64(f *testing.F) {
	for _, seed := range []string{"AAAAAAAAAAA=", "AAAAAAAAAAA", "AAAAAAAAAAAA", "////////8A==", "AAAAAAAAAAB=", "AAAA\nAAAAAAA=", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		crc, err := digest.DecodeCRC64(s)
		if err != nil {
			return
		}
		if back, err := digest.DecodeCRC64(digest.EncodeCRC64(crc)); err != nil || back != crc {
			t.Fatalf("%q is %x, and back %x, %v", s, crc, back, err)
		}
	})
}
