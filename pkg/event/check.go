package event

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
)

// MaxURL is the longest media URL in bytes.
const MaxURL = 4096

// sha256Hex is the form of a SHA-256 inside the program.
var sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)

// CheckMediaURL returns what is wrong with a media URL, without showing it.
func CheckMediaURL(s string) error {
	if len(s) > MaxURL {
		return fmt.Errorf("is %d bytes long, at most %d are taken", len(s), MaxURL)
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("want an absolute http or https URL")
	}
	return nil
}

// CheckSHA256 returns what is wrong with a SHA-256 given by the platform, already in lower case.
func CheckSHA256(s string) error {
	if !sha256Hex.MatchString(s) {
		return errors.New("want 64 hexadecimal digits")
	}
	return nil
}

// Check returns what is wrong with an event that was made, not read: what passes, Parse takes once it is encoded. Errors
// are as Parse's.
func (e *Event) Check() error {
	if e.SpecVersion != specVersion || e.Type != TypeCompleted && e.Type != TypeRedrive {
		return fmt.Errorf("%w: type %.80q, specversion %.20q", ErrInvalid, e.Type, e.SpecVersion)
	}
	if err := e.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// check holds an event against the contract. A field's value never gets into the error.
func (e *Event) check() error {
	d := &e.Data
	for _, f := range []struct {
		name string
		err  error
	}{
		{"data.recordingId", CheckRecordingID(d.RecordingID)},
		{"data.source", CheckSource(d.Source)},
		{"data.idempotencyKey", same(d.IdempotencyKey, IdempotencyKey(d.Source, d.RecordingID))},
		{"data.media.format", CheckFormat(d.Media.Format)},
		{"data.objectKey", same(d.ObjectKey, ObjectKey(d.IdempotencyKey, d.Media.Format))},
		{"data.media.url", e.checkURL()},
		{"data.media.size", checkSize(d.Media.Size)},
		{"data.media.sha256", optional(d.Media.SHA256, CheckSHA256)},
		{"data.durationSeconds", checkDuration(d.DurationSeconds)},
		{"id", required(e.ID)},
		{"subject", same(e.Subject, d.RecordingID)},
	} {
		if f.err != nil {
			return fmt.Errorf("field %s: %w", f.name, f.err)
		}
	}
	return nil
}

// checkURL allows an empty URL in a redrive only: one made from a sidecar has none.
func (e *Event) checkURL() error {
	if e.Data.Media.URL == "" && e.Redrive() {
		return nil
	}
	return CheckMediaURL(e.Data.Media.URL)
}

func same(got, want string) error {
	if got != want {
		return errors.New("does not follow from source, recording ID and format")
	}
	return nil
}

func required(s string) error {
	if s == "" {
		return errors.New("is missing")
	}
	return nil
}

func optional(s string, check func(string) error) error {
	if s == "" {
		return nil
	}
	return check(s)
}

func checkSize(n *int64) error {
	if n != nil && *n < 0 {
		return errors.New("want 0 or more bytes")
	}
	return nil
}

func checkDuration(s float64) error {
	if s < 0 || math.IsNaN(s) || math.IsInf(s, 0) {
		return errors.New("want 0 or more seconds")
	}
	return nil
}
