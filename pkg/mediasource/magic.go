package mediasource

import (
	"bytes"
	"errors"
	"slices"
)

// headBytes is how many first bytes decide what a file is.
const headBytes = 12

// checkMagic holds the first bytes of media against what files of the format begin with. An error page saved as a
// recording is the case to catch; whether the rest can be played is not asked.
func checkMagic(format string, head []byte) error {
	is := false
	switch format {
	case "mp4", "m4a":
		is = box(head)
	case "mp3":
		is = bytes.HasPrefix(head, []byte("ID3")) || mpegFrame(head)
	case "wav":
		riff := len(head) >= 12 && slices.Contains([]string{"RIFF", "RF64", "BW64"}, string(head[:4]))
		is = riff && string(head[8:12]) == "WAVE"
	case "ogg", "opus":
		is = bytes.HasPrefix(head, []byte("OggS"))
	case "webm", "mkv":
		is = bytes.HasPrefix(head, []byte{0x1a, 0x45, 0xdf, 0xa3}) // EBML
	case "flac":
		is = bytes.HasPrefix(head, []byte("fLaC")) || bytes.HasPrefix(head, []byte("ID3"))
	}
	if !is {
		return errors.New("its first bytes are not those of a " + format + " file")
	}
	return nil
}

// box reports whether head begins with a box that files of ISO/IEC 14496-12 begin with. The box's size comes before its
// type: where that begins with a character, it would be of more than 150 MiB, which of these only the media's own box may
// have. Else a page that begins "<h1>free" would pass.
func box(head []byte) bool {
	if len(head) < 8 {
		return false
	}
	kind := string(head[4:8])
	return kind == "mdat" || head[0] < '\t' && slices.Contains([]string{"ftyp", "styp", "moov", "free", "skip", "wide"}, kind)
}

// mpegFrame reports whether head begins with the header of an MPEG audio frame of layer II or III. Layer I is left out:
// its header is also the byte order mark of a UTF-16 text.
func mpegFrame(head []byte) bool {
	const reserved, layerI = 0, 3
	if len(head) < 4 || head[0] != 0xff || head[1]&0xe0 != 0xe0 {
		return false
	}
	version, layer := head[1]>>3&3, head[1]>>1&3
	bitrate, sampling := head[2]>>4, head[2]>>2&3
	return version != 1 && layer != reserved && layer != layerI && bitrate != 15 && sampling != 3
}
