package digest_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/digest"
)

func TestDigestOfKnownBytes(t *testing.T) {
	// The check value of CRC-64/NVME is defined over the digits 1 to 9.
	d := digest.Of([]byte("123456789"))
	if d.SHA256 != "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225" || d.CRC64 != 0xae8b14860a799888 || d.Size != 9 {
		t.Errorf("got %+v", d)
	}
	if got := digest.EncodeCRC64(d.CRC64); got != "rosUhgp5mIg=" {
		t.Errorf("crc64nvme = %s", got)
	}
}

func TestHasherDoesNotCareHowBytesCome(t *testing.T) {
	body := bytes.Repeat([]byte("twinreel "), 10_000)
	h := digest.NewHasher()
	for i := 0; i < len(body); {
		n := min(len(body)-i, 1+i%4097)
		_, _ = h.Write(body[i : i+n])
		i += n
	}
	if h.Digest() != digest.Of(body) {
		t.Errorf("in pieces %+v, at once %+v", h.Digest(), digest.Of(body))
	}
}

func TestAPartsChecksumsCombineToTheWholes(t *testing.T) {
	body := bytes.Repeat([]byte("twinreel "), 50_000)
	for _, size := range []int{1, 7, 64 << 10, 64<<10 + 1, 200_000, len(body)} {
		h, combined, n := digest.NewHasher(), uint64(0), int64(0)
		for part := range slices.Chunk(body, max(size, len(body)/300)) {
			crc := h.Part(part)
			if crc != digest.CRC64(part) {
				t.Fatalf("parts of %d: a part's checksum is %x, want %x", size, crc, digest.CRC64(part))
			}
			combined, n = digest.Combine(combined, crc, int64(len(part))), n+int64(len(part))
		}
		if h.Digest() != digest.Of(body) || combined != digest.CRC64(body) || n != int64(len(body)) {
			t.Errorf("parts of %d: %+v, want %+v", size, h.Digest(), digest.Of(body))
		}
	}
	if digest.Combine(5, 0, 0) != 5 || digest.Combine(0, 7, 3) != 7 {
		t.Error("nothing at the end, or at the beginning, changes the checksum")
	}
}

func BenchmarkHasher(b *testing.B) {
	body := bytes.Repeat([]byte("twinreel"), 1<<20)
	for name, hash := range map[string]func(*digest.Hasher){
		"whole": func(h *digest.Hasher) { _, _ = h.Write(body) },
		"part":  func(h *digest.Hasher) { h.Part(body) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			h := digest.NewHasher()
			for b.Loop() {
				hash(h)
			}
		})
	}
}

func TestDecodeCRC64RefusesOtherText(t *testing.T) {
	for _, bad := range []string{"", "AAAA", "not base64!!", strings.Repeat("A", 24)} {
		if _, err := digest.DecodeCRC64(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	crc, err := digest.DecodeCRC64(digest.EncodeCRC64(0x0102030405060708))
	if err != nil || crc != 0x0102030405060708 {
		t.Errorf("got %x %v", crc, err)
	}
}

func TestEntrySurvivesItsJSON(t *testing.T) {
	e := digest.Entry{Digest: digest.Of([]byte("x")), ObjectKey: "recordings/rec-1.wav", Sidecar: []byte(`{"a":"<&> ü "}`)}
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := digest.ParseEntry(b)
	if err != nil || back.Digest != e.Digest || back.ObjectKey != e.ObjectKey || !bytes.Equal(back.Sidecar, e.Sidecar) {
		t.Errorf("got %+v %v", back, err)
	}
	forgotten, err := digest.ParseEntry([]byte(`{"forgotten":true}`))
	if err != nil || !forgotten.Forgotten {
		t.Errorf("got %+v %v", forgotten, err)
	}
	for _, bad := range []string{"", "{}", `{"sha256":"a","crc64nvme":"x","objectKey":"k"}`, `{"crc64nvme":"AAAAAAAAAAA="}`} {
		if _, err := digest.ParseEntry([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
