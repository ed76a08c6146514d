package mediasource

import (
	"bytes"
	"net/http"
	"strings"
)

// sniffLen is how many first bytes are looked at: what http.DetectContentType uses at most.
const sniffLen = 512

// boxes are the types of box that an ISO base media file (mp4, m4a) may begin with.
var boxes = [...]string{"ftyp", "styp", "moov", "mdat", "free", "skip", "wide"}

// checkMagic holds the first bytes of media against what the format begins with.
func checkMagic(format string, head []byte) error {
	if begins(format, head) {
		return nil
	}
	kind, _, _ := strings.Cut(http.DetectContentType(head), ";")
	return corrupt("it does not begin like %s; it looks like %s", format, kind)
}

func begins(format string, b []byte) bool {
	has := func(prefix string) bool { return bytes.HasPrefix(b, []byte(prefix)) }
	switch format {
	case "mp4", "m4a":
		for _, box := range boxes {
			if len(b) >= 8 && string(b[4:8]) == box {
				return true
			}
		}
		return false
	case "mp3":
		return has("ID3") || (len(b) >= 2 && b[0] == 0xff && b[1]&0xe0 == 0xe0)
	case "wav":
		return len(b) >= 12 && (has("RIFF") || has("RF64") || has("BW64")) && string(b[8:12]) == "WAVE"
	case "ogg", "opus":
		return has("OggS")
	case "webm", "mkv":
		return has("\x1a\x45\xdf\xa3") // EBML
	case "flac":
		return has("fLaC") || has("ID3")
	}
	return false
}
