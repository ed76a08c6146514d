package platform

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"hash/crc64"
	"io"
	"math"
)

// The audio is PCM, 16 bits, mono.
const (
	sampleRate     = 48000
	sampleSize     = 2
	bytesPerSecond = sampleRate * sampleSize
)

const (
	riffHeader = 44        // RIFF, fmt and the head of data
	rf64Header = 80        // the same with ds64, EBU Tech 3306
	blockSize  = 64 << 10  // with a stamp and whole periods of the tone, so that nothing clicks
	stampSize  = 32        // bytes at the start of a block that tell it from all others
	maxRIFF    = 1<<32 - 1 // what a RIFF size field holds
)

// tones are blocks of sine waves of different pitch, each with silence where the stamp goes. Recordings share them.
type tones [16][]byte

func newTones() tones {
	const samples = (blockSize - stampSize) / sampleSize
	var t tones
	for i := range t {
		periods := float64(150 + 25*i) // of 1.46 Hz: 220 Hz and up
		block := make([]byte, blockSize)
		for s := range samples {
			v := 8000 * math.Sin(2*math.Pi*periods*float64(s)/samples)
			binary.LittleEndian.PutUint16(block[stampSize+s*sampleSize:], uint16(int16(v)))
		}
		t[i] = block
	}
	return t
}

// audio is one file: a head, then one tone for ever, each block of which starts with a stamp of very quiet noise made
// from seed and block number. So bytes are known at every offset without the ones before, and no two blocks are alike: a
// file with blocks swapped, repeated or of another recording has another digest.
type audio struct {
	head []byte
	tone []byte
	seed uint64
	size int64
}

// newAudio returns the file of size bytes in the format. WAV is playable; of other formats only the first bytes are true
// to the format. An odd WAV ends with one byte behind its last chunk.
func newAudio(t *tones, format string, size int64, seed uint64) audio {
	head := magic(format)
	if format == "wav" {
		head = wavHeader(size)
	}
	return audio{head: head, tone: t[seed%uint64(len(t))], seed: seed, size: size}
}

// minSize is the smallest size of a file in the format.
func minSize(format string) int64 {
	if format == "wav" {
		return riffHeader
	}
	return int64(len(magic(format)))
}

// duration returns what the file plays, in seconds; for formats other than WAV, what a WAV of that size would.
func duration(size int64) float64 {
	return float64(dataSize(size)/sampleSize) / sampleRate
}

func headerSize(size int64) int64 {
	if size-8 > maxRIFF {
		return rf64Header
	}
	return riffHeader
}

func dataSize(size int64) int64 {
	return max(0, size-headerSize(size)) / sampleSize * sampleSize
}

// wavHeader returns everything before the samples: RIFF up to 4 GiB, RF64 above.
func wavHeader(size int64) []byte {
	le := binary.LittleEndian
	data := dataSize(size)
	riff := headerSize(size) + data - 8
	big := headerSize(size) == rf64Header
	var b []byte
	if big {
		b = le.AppendUint32(append(b, "RF64"...), maxRIFF)
		b = le.AppendUint32(append(b, "WAVEds64"...), 28)
		b = le.AppendUint64(b, uint64(riff))
		b = le.AppendUint64(b, uint64(data))
		b = le.AppendUint64(b, uint64(data/sampleSize))
		b = le.AppendUint32(b, 0) // no table
	} else {
		b = le.AppendUint32(append(b, "RIFF"...), uint32(riff))
		b = append(b, "WAVE"...)
	}
	b = le.AppendUint32(append(b, "fmt "...), 16)
	b = le.AppendUint16(b, 1) // PCM
	b = le.AppendUint16(b, 1) // mono
	b = le.AppendUint32(b, sampleRate)
	b = le.AppendUint32(b, bytesPerSecond)
	b = le.AppendUint16(b, sampleSize)
	b = le.AppendUint16(b, 8*sampleSize)
	return le.AppendUint32(append(b, "data"...), uint32(min(data, maxRIFF)))
}

// magic returns the first bytes of a file in the format, nil for an unknown one.
func magic(format string) []byte {
	switch format {
	case "wav":
		return []byte("RIFF....WAVE")
	case "mp4":
		return []byte("\x00\x00\x00\x14ftypisom\x00\x00\x02\x00isom")
	case "m4a":
		return []byte("\x00\x00\x00\x14ftypM4A \x00\x00\x02\x00M4A ")
	case "mp3":
		return []byte("ID3\x04\x00\x00\x00\x00\x00\x00")
	case "ogg", "opus":
		return []byte("OggS\x00\x02")
	case "webm", "mkv":
		return []byte("\x1a\x45\xdf\xa3")
	case "flac":
		return []byte("fLaC")
	}
	return nil
}

// ReadAt fills p with the file's bytes from off, as io.ReaderAt.
func (a audio) ReadAt(p []byte, off int64) (int, error) {
	if off >= a.size {
		return 0, io.EOF
	}
	var end error
	if left := a.size - off; int64(len(p)) >= left {
		p, end = p[:left], io.EOF
	}
	n := 0
	if off < int64(len(a.head)) {
		n = copy(p, a.head[off:])
	}
	for n < len(p) {
		at := off + int64(n) - int64(len(a.head))
		in := at % blockSize
		c := copy(p[n:], a.tone[in:])
		if in < stampSize {
			stamp := stampOf(a.seed, at/blockSize)
			copy(p[n:n+c], stamp[in:])
		}
		n += c
	}
	return n, end
}

// stampOf returns 16 samples that follow from seed and block number.
func stampOf(seed uint64, block int64) (out [stampSize]byte) {
	a := mix(seed ^ mix(uint64(block)))
	words := [2]uint64{a, mix(a)}
	for i := range stampSize / sampleSize {
		out[i*sampleSize] = byte(words[i/8] >> (i % 8 * 8))
	}
	return out
}

// mix spreads the bits of x: the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// sha256Hex reads the file once and returns its SHA-256.
func (a audio) sha256Hex() string {
	h := sha256.New()
	a.hashInto(h)
	return hex.EncodeToString(h.Sum(nil))
}

// crc64NVME reads the file once and returns its CRC-64/NVME as S3 shows it: base64 of 8 bytes, big-endian.
func (a audio) crc64NVME() string {
	h := crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) // the reversed polynomial
	a.hashInto(h)
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, h.Sum64()))
}

func (a audio) hashInto(h hash.Hash) {
	buf := make([]byte, 4*blockSize)
	for off := int64(0); off < a.size; {
		n, _ := a.ReadAt(buf, off) // off is below size: it cannot fail
		h.Write(buf[:n])
		off += int64(n)
	}
}
