package webhook

import (
	"encoding/json"
	"net/http"

	"github.com/twinreel/twinreel/pkg/queue"
)

// Code is the outcome of a webhook as the contract names it.
type Code string

// The codes.
const (
	Accepted             Code = "accepted"
	Duplicate            Code = "duplicate"
	Ignored              Code = "ignored"
	InvalidSignature     Code = "invalid_signature"
	InvalidPayload       Code = "invalid_payload"
	TooLarge             Code = "too_large"
	UnsupportedMediaType Code = "unsupported_media_type"
	MethodNotAllowed     Code = "method_not_allowed"
	UnknownSource        Code = "unknown_source"
	RequestTimeout       Code = "request_timeout"
	Unavailable          Code = "unavailable"
)

// retryAfter is how many seconds a platform is asked to wait after a 503.
const retryAfter = "5"

// status returns the HTTP status and, for errors, the title of an answer.
func (c Code) status() (int, string) {
	switch c {
	case Accepted, Duplicate, Ignored:
		return http.StatusOK, ""
	case InvalidSignature:
		return http.StatusUnauthorized, "The webhook is not signed by an active secret"
	case InvalidPayload:
		return http.StatusBadRequest, "The webhook's body cannot be used"
	case TooLarge:
		return http.StatusRequestEntityTooLarge, "The webhook is too large"
	case UnsupportedMediaType:
		return http.StatusUnsupportedMediaType, "The webhook's content is not JSON"
	case MethodNotAllowed:
		return http.StatusMethodNotAllowed, "Webhooks are sent by POST"
	case UnknownSource:
		return http.StatusNotFound, "There is no such source of webhooks"
	case RequestTimeout:
		return http.StatusRequestTimeout, "The webhook's body came too slowly"
	}
	return http.StatusServiceUnavailable, "The webhook could not be stored now"
}

// outcome is how one webhook ended.
type outcome struct {
	code        Code
	recordingID string
	key         string      // idempotency key
	route       queue.Route // "" where nothing was published
	detail      string      // for errors: which field, what to do; goes to the sender
	err         error       // for the log only
}

// write sends the answer.
func (o outcome) write(w http.ResponseWriter) {
	status, title := o.code.status()
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	var body any
	if status == http.StatusOK {
		h.Set("Content-Type", "application/json")
		body = struct {
			Code           Code   `json:"code"`
			RecordingID    string `json:"recordingId"`
			IdempotencyKey string `json:"idempotencyKey"`
		}{o.code, o.recordingID, o.key}
	} else {
		h.Set("Content-Type", "application/problem+json") // RFC 9457
		body = struct {
			Type   string `json:"type"`
			Title  string `json:"title"`
			Status int    `json:"status"`
			Detail string `json:"detail"`
			Code   Code   `json:"code"`
		}{"about:blank", title, status, o.detail, o.code}
	}
	switch o.code {
	case MethodNotAllowed:
		h.Set("Allow", http.MethodPost)
	case Unavailable:
		h.Set("Retry-After", retryAfter)
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the sender may be gone
}
