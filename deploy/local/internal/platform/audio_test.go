package platform_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// wav is what a player reads of a file before the samples.
type wav struct {
	form                 string
	riff, data           uint64 // sizes as the chunks say
	format, channels     uint16
	rate, bytesPerSecond uint32
	align, bits          uint16
	samples              []byte
}

// parseWAV reads chunk by chunk, knowing nothing of how the file was made.
func parseWAV(t *testing.T, b []byte) wav {
	t.Helper()
	le := binary.LittleEndian
	w := wav{form: string(b[:4]), riff: uint64(le.Uint32(b[4:]))}
	if string(b[8:12]) != "WAVE" {
		t.Fatalf("form type %q", b[8:12])
	}
	for at := 12; at+8 <= len(b); {
		id, size := string(b[at:at+4]), uint64(le.Uint32(b[at+4:]))
		chunk := b[at+8:]
		switch id {
		case "ds64":
			w.riff, w.data = le.Uint64(chunk), le.Uint64(chunk[8:])
		case "fmt ":
			w.format, w.channels, w.rate = le.Uint16(chunk), le.Uint16(chunk[2:]), le.Uint32(chunk[4:])
			w.bytesPerSecond, w.align, w.bits = le.Uint32(chunk[8:]), le.Uint16(chunk[12:]), le.Uint16(chunk[14:])
		case "data":
			if w.form == "RIFF" {
				w.data = size
			}
			w.samples = chunk[:min(w.data, uint64(len(chunk)))]
			return w
		default:
			t.Fatalf("chunk %q at %d", id, at)
		}
		at += 8 + int(size)
	}
	t.Fatal("no data chunk")
	return w
}

func TestWAVParsesAndHasTheSizeAndDurationPromised(t *testing.T) {
	p := start(t, platform.Config{})
	for _, size := range []int64{44, 45, 46, 47, 1000, 65_580, 200_000, 1<<20 + 7} {
		t.Run(strconv.FormatInt(size, 10), func(t *testing.T) {
			rec := add(t, p, platform.Spec{Size: size})
			status, b := fetch(t, rec.MediaURL())
			if status != http.StatusOK || int64(len(b)) != size {
				t.Fatalf("status %d, %d bytes", status, len(b))
			}
			w := parseWAV(t, b)
			even := uint64(size) / 2 * 2
			if w.form != "RIFF" || w.riff != even-8 || w.data != even-44 || uint64(len(w.samples)) != w.data {
				t.Fatalf("%s of %d bytes with %d of data, %d there", w.form, w.riff, w.data, len(w.samples))
			}
			if w.format != 1 || w.channels != 1 || w.bits != 16 || w.align != 2 || w.bytesPerSecond != 2*w.rate {
				t.Fatalf("not 16-bit mono PCM: %+v", w)
			}
			if plays := float64(w.data) / float64(w.bytesPerSecond); plays != rec.DurationSeconds {
				t.Fatalf("plays %v s, recording says %v", plays, rec.DurationSeconds)
			}
			if sum(b) != rec.SHA256() {
				t.Fatal("SHA256 is not that of the bytes served")
			}
		})
	}
}

func TestAudioIsAToneAndNotNoiseOrSilence(t *testing.T) {
	p := start(t, platform.Config{})
	_, b := fetch(t, add(t, p, platform.Spec{Size: 200_000}).MediaURL())
	var loudest, steepest, last int
	for s := parseWAV(t, b).samples; len(s) >= 2; s = s[2:] {
		v := int(int16(binary.LittleEndian.Uint16(s)))
		loudest, steepest, last = max(loudest, v), max(steepest, abs(v-last)), v
	}
	if loudest < 4000 || loudest > 20000 || steepest > 3000 {
		t.Fatalf("loudest sample %d, largest step %d", loudest, steepest)
	}
}

func abs(n int) int { return max(n, -n) }

func TestMediaAboveFourGiBIsRF64AndCanBeReadAtItsEnd(t *testing.T) {
	const size = 5<<30 + 3
	p := start(t, platform.Config{})
	rec := add(t, p, platform.Spec{Size: size})
	resp := ask(t.Context(), t, http.MethodHead, rec.MediaURL())
	if resp.StatusCode != http.StatusOK || resp.ContentLength != size {
		t.Fatalf("HEAD: status %d, length %d", resp.StatusCode, resp.ContentLength)
	}
	_, head := fetch(t, rec.MediaURL(), "Range", "bytes=0-4095")
	w := parseWAV(t, head)
	if even := uint64(size) / 2 * 2; w.form != "RF64" || w.riff != even-8 || w.data != even-80 {
		t.Fatalf("%s of %d bytes with %d of data", w.form, w.riff, w.data)
	}
	if plays := float64(w.data) / float64(w.bytesPerSecond); plays != rec.DurationSeconds {
		t.Fatalf("plays %v s, recording says %v", plays, rec.DurationSeconds)
	}
	if status, tail := fetch(t, rec.MediaURL(), "Range", "bytes=-10"); status != http.StatusPartialContent || len(tail) != 10 {
		t.Fatalf("last 10 bytes: status %d, %d bytes", status, len(tail))
	}
}

func TestRangesEqualTheWhole(t *testing.T) {
	const size = 300_001
	p := start(t, platform.Config{})
	rec := add(t, p, platform.Spec{Size: size})
	_, whole := fetch(t, rec.MediaURL())
	r := rand.New(rand.NewPCG(1, 2))
	cases := [][2]int{{0, 0}, {0, 43}, {40, 80}, {43, 44}, {65579, 65581}, {size - 1, size - 1}, {0, size - 1}, {44, 75}, {50, 60}}
	for range 40 {
		from := r.IntN(size)
		cases = append(cases, [2]int{from, from + r.IntN(size-from)})
	}
	for _, c := range cases {
		status, b := fetch(t, rec.MediaURL(), "Range", fmt.Sprintf("bytes=%d-%d", c[0], c[1]))
		if status != http.StatusPartialContent || string(b) != string(whole[c[0]:c[1]+1]) {
			t.Errorf("bytes %d-%d: status %d, %d bytes that differ", c[0], c[1], status, len(b))
		}
	}
	if status, _ := fetch(t, rec.MediaURL(), "Range", fmt.Sprintf("bytes=%d-", size)); status != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("range behind the end: status %d", status)
	}
}

func TestNoTwoPiecesOfTheAudioAreAlike(t *testing.T) {
	const piece = 64 << 10
	p := start(t, platform.Config{})
	seen := map[string]string{}
	for i := range 20 { // more than there are tones
		rec := add(t, p, platform.Spec{Size: 44 + 8*piece})
		_, b := fetch(t, rec.MediaURL())
		for at := 44; at < len(b); at += piece {
			here, s := fmt.Sprintf("recording %d at %d", i, at), sum(b[at:at+piece])
			if other, ok := seen[s]; ok {
				t.Fatalf("%s is like %s", here, other)
			}
			seen[s] = here
		}
	}
}

func TestEqualSeedsGiveEqualRecordings(t *testing.T) {
	describe := func(seed uint64) string {
		rec := add(t, start(t, platform.Config{Seed: seed}), platform.Spec{Size: 70_000})
		return fmt.Sprint(rec.ID, rec.SHA256(), rec.ReencodedSHA256(), rec.Participants, rec.Tags)
	}
	if a, b := describe(7), describe(7); a != b {
		t.Fatalf("seed 7 gave\n%s\nand then\n%s", a, b)
	}
	if describe(7) == describe(8) {
		t.Fatal("seeds 7 and 8 gave the same recording")
	}
}

func TestOtherFormatsStartAsTheirFormatDoes(t *testing.T) {
	p := start(t, platform.Config{})
	for format, want := range map[string]struct {
		at          int
		magic, kind string
	}{
		"mp4": {4, "ftyp", "audio/mp4"}, "m4a": {4, "ftyp", "audio/mp4"}, "mp3": {0, "ID3", "audio/mpeg"},
		"ogg": {0, "OggS", "audio/ogg"}, "opus": {0, "OggS", "audio/ogg"}, "webm": {0, "\x1a\x45\xdf\xa3", "audio/webm"},
		"flac": {0, "fLaC", "audio/flac"}, "mkv": {0, "\x1a\x45\xdf\xa3", "video/x-matroska"}, "wav": {8, "WAVE", "audio/wav"},
	} {
		rec := add(t, p, platform.Spec{Format: format, Size: 5000})
		resp := get(t, rec.MediaURL())
		b := make([]byte, 16)
		if _, err := resp.Body.Read(b); err != nil {
			t.Fatal(err)
		}
		if got := string(b[want.at : want.at+len(want.magic)]); got != want.magic {
			t.Errorf("%s starts with %q", format, got)
		}
		if got := resp.Header.Get("Content-Type"); got != want.kind || rec.ContentType() != want.kind {
			t.Errorf("%s is served as %q, said to be %q", format, got, rec.ContentType())
		}
	}
}

// bitwiseCRC64NVME computes the checksum bit by bit, as the catalogue of CRCs describes it.
func bitwiseCRC64NVME(b []byte) string {
	crc := ^uint64(0)
	for _, c := range b {
		crc ^= uint64(c)
		for range 8 {
			low := crc & 1
			crc >>= 1
			if low == 1 {
				crc ^= 0x9a6c9329ac4bc9b5
			}
		}
	}
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, ^crc))
}

func TestCRC64NVMEIsThatOfTheBytes(t *testing.T) {
	if got := bitwiseCRC64NVME([]byte("123456789")); got != "rosUhgp5mIg=" { // the catalogue's check value ae8b14860a799888
		t.Fatalf("the test's own computation gives %s", got)
	}
	rec := add(t, start(t, platform.Config{}), platform.Spec{Size: 300_000})
	_, b := fetch(t, rec.MediaURL())
	if got, want := rec.CRC64NVME(), bitwiseCRC64NVME(b); got != want {
		t.Fatalf("CRC64NVME %s, want %s", got, want)
	}
}

// BenchmarkServe measures how fast one client on the same core can read media.
func BenchmarkServe(b *testing.B) {
	const size = 64 << 20
	rec := add(b, start(b, platform.Config{}), platform.Spec{Size: size})
	b.SetBytes(size)
	for b.Loop() {
		resp := get(b, rec.MediaURL())
		if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, make([]byte, 1<<20)); n != size || err != nil {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkSHA256 measures how fast the truth about new media is found.
func BenchmarkSHA256(b *testing.B) {
	const size = 64 << 20
	p := start(b, platform.Config{})
	b.SetBytes(size)
	for b.Loop() {
		add(b, p, platform.Spec{Size: size}).SHA256()
	}
}
