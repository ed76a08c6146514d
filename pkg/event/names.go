package event

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// DefaultSource is the source whose recordings have no prefix in keys.
const DefaultSource = "default"

// reservedSource cannot be a source's name: it is the path of the default one.
const reservedSource = "recording-complete"

// sourceName and recordingID are the forms that names of sources and recordings have.
var (
	sourceName  = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	recordingID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
)

// mediaTypes maps each format that Twinreel takes to its content type.
var mediaTypes = map[string]string{
	"mp4": "audio/mp4", "m4a": "audio/mp4", "mp3": "audio/mpeg", "wav": "audio/wav", "ogg": "audio/ogg", "opus": "audio/ogg",
	"webm": "audio/webm", "flac": "audio/flac", "mkv": "video/x-matroska",
}

// Formats lists the media formats in the order in which error messages name them.
func Formats() []string {
	return []string{"mp4", "m4a", "mp3", "wav", "ogg", "opus", "webm", "flac", "mkv"}
}

// MediaType returns the content type of a format, "" for an unknown one.
func MediaType(format string) string { return mediaTypes[format] }

// CheckFormat returns an error that lists the formats when format is none of them.
func CheckFormat(format string) error {
	if mediaTypes[format] == "" {
		return fmt.Errorf("want one of %s", strings.Join(Formats(), " "))
	}
	return nil
}

// CheckRecordingID returns what is wrong with a recording ID: 1–128 of [A-Za-z0-9._-], starting with a letter or digit,
// without "..".
func CheckRecordingID(id string) error {
	if !recordingID.MatchString(id) || strings.Contains(id, "..") {
		return fmt.Errorf("want 1 to 128 of A-Z a-z 0-9 . _ - , starting with a letter or digit, without \"..\"")
	}
	return nil
}

// CheckSource returns what is wrong with a source's name.
func CheckSource(name string) error {
	if !sourceName.MatchString(name) || name == reservedSource {
		return fmt.Errorf("want 1 to 32 of a-z 0-9 - , and not %q", reservedSource)
	}
	return nil
}

// IdempotencyKey returns the name by which a recording is known everywhere.
func IdempotencyKey(source, recordingID string) string {
	if source == DefaultSource {
		return recordingID
	}
	return source + "/" + recordingID
}

// SplitKey is the inverse of IdempotencyKey. It checks both names.
func SplitKey(key string) (source, id string, err error) {
	source, id, found := strings.Cut(key, "/")
	if !found {
		source, id = DefaultSource, key
	}
	if err := CheckSource(source); err != nil {
		return "", "", fmt.Errorf("source of %.170q: %w", key, err)
	}
	if err := CheckRecordingID(id); err != nil {
		return "", "", fmt.Errorf("recording ID of %.170q: %w", key, err)
	}
	return source, id, nil
}

// ObjectKey returns the key of the media object.
func ObjectKey(idempotencyKey, format string) string {
	return "recordings/" + idempotencyKey + "." + format
}

// SidecarKey returns the key of the recording's metadata object.
func SidecarKey(idempotencyKey string) string { return "metadata/" + idempotencyKey + ".json" }

// MsgID returns the message ID of the event of that source, recording and platform event: JetStream stores it once
// within its duplicate window, and it is the CloudEvents id. It is a hash, so that any text may be an event ID.
func MsgID(source, recordingID, eventID string) string {
	h := sha256.New()
	for _, s := range []string{source, recordingID, eventID} {
		_, _ = fmt.Fprintf(h, "%d:", len(s))
		_, _ = io.WriteString(h, s)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// HashKey returns the KV key of a recording: the hex SHA-256 of its idempotency key.
func HashKey(idempotencyKey string) string {
	sum := sha256.Sum256([]byte(idempotencyKey))
	return hex.EncodeToString(sum[:])
}
