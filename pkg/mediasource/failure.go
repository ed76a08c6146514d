package mediasource

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/platform"
)

// statusFault is the fault of an answer that brings no media.
func statusFault(op string, resp *http.Response, now time.Time) error {
	code := resp.StatusCode
	f := fault.New(fault.Transient, fault.Source, op, fmt.Errorf("it answered %d", code))
	f.Status = code
	switch {
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusNotFound, code == http.StatusGone:
		f.Class = fault.SourceGone
	case code == http.StatusTooManyRequests:
		f.Class = fault.Throttled
	case code >= http.StatusInternalServerError:
		f.Class = fault.Unavailable
	}
	f.RetryAfter = platform.RetryAfter(resp.Header.Get("Retry-After"), now)
	return f
}

// Words for media that are refused in more than one place.
const (
	empty   = "the media are empty"
	tooLong = "the media are longer than TWINREEL_MAX_RECORDING_BYTES"
)

func corrupt(op, text string) error {
	return fault.New(fault.Corrupt, fault.Source, op, errors.New(text))
}

// changed is the fault of media that are not the same from one range to the next.
func changed(op, text string) error {
	return fault.New(fault.Transient, fault.Source, op, errors.New(text+"; start again"))
}
